"""What the tests on the running kernel share: sockets whose handshake is known to be over, and two hosts on a wire."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import namespaces as ns
from tests.kernel.rules import packets

from estab.kernel.rules import timer_wheel
from estab.kernel.rules.kernel_version import of
from estab.observe import host

KERNEL = of(host.facts())
HZ = timer_wheel.hz_of(host.facts())
PORT = 9999
HERE = ("127.0.0.1", PORT)
FAR = ("10.1.0.2", PORT)  # over the wire
_TCP_INFO_STATE, _ESTABLISHED, _SYN_SENT = 0, 1, 2
_SO_MEMINFO, _MEMINFO_DROPS = 55, 8  # `include/uapi/asm-generic/socket.h`, `include/uapi/linux/sock_diag.h`
_RELEVANT = ("Listen", "TCPReqQ", "Syncookies", "Embryonic", "TCPDeferAccept")


def listener(backlog: int, address: str = "127.0.0.1") -> socket.socket:
    """A listening socket; the backlog goes to libc, for CPython turns a negative one into 0."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, PORT))
    listen(server, backlog)
    return server


def listen(server: socket.socket, backlog: int) -> None:
    assert ctypes.CDLL(None).listen(server.fileno(), backlog) == 0


def depth_and_limit(server: socket.socket) -> tuple[int, int]:
    """tcpi_unacked and tcpi_sacked: on a listener its depth and its limit."""
    info = server.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    found: tuple[int, int] = struct.unpack_from("=II", info, 24)
    return found


def drops_of(server: socket.socket) -> int:
    """sk_drops of a socket: what `ss -m` shows as `d`."""
    memory = server.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36)
    found: int = struct.unpack("=9I", memory)[_MEMINFO_DROPS]
    return found


def begin_connects(number: int, address: tuple[str, int] = HERE) -> list[socket.socket]:
    """Sockets whose SYN has left; on loopback the handshake, if there is one, is over when this returns."""
    clients = []
    for _ in range(number):
        client = socket.socket()
        client.setblocking(False)
        assert client.connect_ex(address) in (0, errno.EINPROGRESS)
        clients.append(client)
    return clients


def states(clients: list[socket.socket]) -> tuple[int, int]:
    """How many are ESTABLISHED, how many SYN_SENT."""
    seen = [client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[_TCP_INFO_STATE] for client in clients]
    return seen.count(_ESTABLISHED), seen.count(_SYN_SENT)


def relevant(moved: dict[str, int]) -> dict[str, int]:
    return {name: value for name, value in moved.items() if name.startswith(_RELEVANT)}


def has_sysctl(name: str) -> bool:
    """Whether this kernel has `net.ipv4.NAME`: old ones lack some, and some are built without."""
    return Path(f"/proc/sys/net/ipv4/{name}").exists()


def lossless_default_route() -> None:
    """Packets to addresses that nobody has go out of lo and are discarded there, without ICMP errors."""
    ns.run("ip", "route", "add", "default", "dev", "lo")


RTT_S = 0.1


@dataclass(frozen=True)
class Hosts:
    """Two hosts and a wire of RTT_S between them: namespaces, listener, a datagram socket of each."""

    client: ns.Namespace
    server: ns.Namespace
    listener: socket.socket
    datagrams: tuple[socket.socket, socket.socket]

    def there_and_back(self) -> None:
        """Send a datagram to the server and one back: what was sent before them has come when this returns.

        The wire keeps the order of what it carries. So no time is waited for, which on a slow machine is too short.
        """
        near, far = self.datagrams
        near.sendto(b"there", far.getsockname())
        _, sender = far.recvfrom(16)
        far.sendto(b"back", sender)
        near.recv(16)


@contextlib.contextmanager
def hosts(cookies: int, backlog: int, together: int) -> Iterator[Hosts]:
    """Two hosts; the first `together` SYNs of the client arrive within one round trip."""
    client_side, middle, server_side = ns.Namespace(), ns.Namespace(), ns.Namespace()
    ns.joined(client_side, "10.1.0.1/24", middle, "", names="left")
    ns.joined(server_side, "10.1.0.2/24", middle, "", names="right")
    with middle.entered():
        wire = ns.start_child(packets.Wire("left1", "right1", RTT_S / 2, together).carry)
    try:
        with contextlib.ExitStack() as stack:
            with server_side.entered():
                ns.sysctl("net.ipv4.tcp_syncookies", cookies)
                ns.sysctl("net.ipv4.tcp_max_syn_backlog", 2048)
                server = stack.enter_context(listener(backlog, FAR[0]))
                far = stack.enter_context(_datagrams(FAR[0]))
            with client_side.entered():
                near = stack.enter_context(_datagrams("10.1.0.1"))
                _resolve(FAR[0])
            yield Hosts(client_side, server_side, server, (near, far))
    finally:
        wire.stop()


def _datagrams(address: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.settimeout(20)
    opened.bind((address, 0))
    return opened


def _resolve(address: str) -> None:
    """Fill the neighbour table first: a SYN that waits for ARP would come a round trip late."""

    def known() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
            probe.sendto(b"", (address, 9))
        rows = Path("/proc/thread-self/net/arp").read_text(encoding="ascii").splitlines()[1:]
        return any(row.split()[0] == address and int(row.split()[2], 16) & 2 for row in rows)

    ns.until(known, why=f"{address} answers ARP")
