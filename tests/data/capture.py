"""Captures real answers of this kernel for the parser tests: `unshare -n python tests/data/capture.py`, as root.

Run it in a fresh network namespace only. It brings lo up, makes one socket of each kind, and writes them below
tests/data/<major.minor>/. Eight datagrams and a dozen small text files; no address but loopback's is in them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from pathlib import Path

from estab.kernel.formats import inet_diag, neighbours, unix_diag

EXT_INFO = 1 << 1  # INET_DIAG_INFO, of include/uapi/linux/inet_diag.h: an attribute that no parser here reads
_TEXTS = ("netstat", "snmp", "snmp6", "sockstat", "sockstat6")


def make_sockets() -> list[socket.socket]:
    """Listeners, queued, accepted, half-open, half-closed, TIME-WAIT and merely bound sockets, IPv4 and IPv6."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 1))
    v4 = socket.create_server(("127.0.0.1", 8001), backlog=4)
    v6 = socket.create_server(("::", 8002), family=socket.AF_INET6, backlog=5, dualstack_ipv6=True)
    v6only = socket.create_server(("::1", 8003), family=socket.AF_INET6, backlog=6)
    deferring = socket.create_server(("127.0.0.2", 8004), backlog=7)
    deferring.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
    kept = [v4, v6, v6only, deferring]
    kept += [socket.create_connection(("127.0.0.1", 8001)) for _ in range(3)]
    kept.append(v4.accept()[0])
    kept.append(socket.create_connection(("127.0.0.1", 8002)))
    kept.append(socket.create_connection(("::1", 8002)))
    kept.append(socket.create_connection(("127.0.0.2", 8004)))
    socket.create_connection(("::1", 8003)).close()
    early = socket.create_connection(("127.0.0.1", 8002))
    early.close()
    bound = socket.socket()
    bound.bind(("127.0.0.1", 8005))
    done = socket.create_connection(("127.0.0.1", 8001))
    for _ in range(2):
        kept.append(v4.accept()[0])
    last = v4.accept()[0]
    done.close()
    last.close()
    return [*kept, bound]


def make_unix_sockets() -> list[socket.socket]:
    """UNIX sockets that listen: at a relative path, with an abstract name over a full queue, and of packets."""
    kept = []
    for kind, name, backlog, clients in (
        (socket.SOCK_STREAM, "estab-capture.sock", 4, 0),
        (socket.SOCK_STREAM, "\0estab-capture", 2, 3),
        (socket.SOCK_SEQPACKET, "\0estab\0packets", 5, 1),
    ):
        kept.append(socket.socket(socket.AF_UNIX, kind))
        kept[-1].bind(name)
        kept[-1].listen(backlog)
        for _ in range(clients):
            kept.append(socket.socket(socket.AF_UNIX, kind))
            kept[-1].connect(name)
    os.unlink("estab-capture.sock")
    return kept


def of_sockets() -> dict[str, bytes]:
    """What sockets themselves tell: TCP_INFO, and ICMP's "port unreachable" in the error queues of both families."""
    told = {}
    with socket.create_server(("127.0.0.1", 8006)) as server, socket.create_connection(server.getsockname()) as client:
        client.sendall(b"a request")
        told["tcp-info.bin"] = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 512)
    for family, level, option, closed, name in (
        (socket.AF_INET, socket.IPPROTO_IP, 11, "127.0.0.1", "icmp-error.bin"),  # IP_RECVERR
        (socket.AF_INET6, socket.IPPROTO_IPV6, 25, "::1", "icmp6-error.bin"),  # IPV6_RECVERR
    ):
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.setsockopt(level, option, 1)
            asking.sendto(b"anybody?", (closed, 8007))
            _data, control, _flags, _who = asking.recvmsg(64, 512, socket.MSG_ERRQUEUE)
            ((_level, _type, told[name]),) = control
    return told


def dump(question: bytes, protocol: int = 4) -> bytes:
    """The first datagram that answers: all of it at this size, NLMSG_DONE apart."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as netlink:
        netlink.send(question)
        return netlink.recv(1 << 17)


def main() -> None:
    """Capture everything."""
    kept = make_sockets()
    folder = Path(__file__).parent / ".".join(os.uname().release.split(".")[:2])
    folder.mkdir(exist_ok=True)
    for family, name in ((inet_diag.AF_INET, "inet"), (inet_diag.AF_INET6, "inet6")):
        listening = inet_diag.states(inet_diag.LISTEN)
        questions = {
            "listen": inet_diag.request(family, listening, extensions=inet_diag.EXT_SKMEMINFO),
            "all": inet_diag.request(family, inet_diag.ALL_STATES),
            "info": inet_diag.request(
                family, inet_diag.states(inet_diag.ESTABLISHED), extensions=EXT_INFO, local_port=8002
            ),
        }
        for question, asked in questions.items():
            (folder / f"{name}-{question}.bin").write_bytes(dump(asked))
    kept += make_unix_sockets()
    (folder / "unix-listen.bin").write_bytes(dump(unix_diag.request(inet_diag.states(inet_diag.LISTEN))))
    (folder / "neighbour-tables.bin").write_bytes(dump(neighbours.request(), 0))
    for name, told in of_sockets().items():
        (folder / name).write_bytes(told)
    for text in _TEXTS:
        (folder / text).write_bytes(Path(f"/proc/thread-self/net/{text}").read_bytes())
    for text in ("dev", "softnet_stat", "stat/nf_conntrack"):
        (folder / Path(text).name).write_bytes(Path(f"/proc/thread-self/net/{text}").read_bytes())
    (folder / "meminfo").write_bytes(Path("/proc/meminfo").read_bytes())
    for text in ("limits", "stat", "cgroup", "mountinfo"):
        (folder / text).write_bytes(Path(f"/proc/self/{text}").read_bytes())
    with contextlib.ExitStack() as stack:
        for one in kept:
            stack.enter_context(one)


if __name__ == "__main__":
    main()
