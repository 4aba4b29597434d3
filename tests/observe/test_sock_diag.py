from __future__ import annotations

import contextlib
import errno
import re
import socket
import struct
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.namespaces import in_namespace, until

from estab.errors import MachineError, ReadError
from estab.kernel.formats import inet_diag, netlink
from estab.observe import sock_diag
from estab.observe.counters import read_counters, read_sockstat
from estab.observe.fast_census import EngineCensus
from estab.observe.sock_diag import SockDiag

TWO_DATAGRAMS = 2


def ss(*arguments: str) -> list[list[str]]:
    out = subprocess.run(["ss", "-Hn", *arguments], check=True, capture_output=True, text=True).stdout
    return [line.split() for line in out.splitlines()]


@contextlib.contextmanager
def connections(server: socket.socket, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(server.getsockname()[:2])) for _ in range(count)]


@pytest.mark.namespace
def test_listeners_as_ss_shows_them() -> None:
    with (
        SockDiag() as diag,
        socket.create_server(("127.0.0.1", 8001), backlog=3) as one,
        socket.create_server(("::", 8001), family=socket.AF_INET6, backlog=9),
        socket.create_server(("::", 8002), family=socket.AF_INET6, backlog=2, dualstack_ipv6=True),
        connections(one, 4),
    ):
        shown = {(line[3], int(line[1]), int(line[2])) for line in ss("-ltn")}
        names = {"::": "*"}
        ours = set()
        for found in diag.listening():
            address = f"[{found.local_address}]" if found.family == 6 else found.local_address
            if found.local_address == "::" and not found.v6only:
                address = names["::"]
            ours.add((f"{address}:{found.local_port}", found.rqueue, found.wqueue))
        assert ours == shown
        assert [(found.address, found.depth, found.limit, found.drops) for found in diag.listeners(8001)] == [
            ("127.0.0.1", 4, 3, 0),
            ("::", 0, 9, 0),
        ]
        assert diag.listeners(8003) == []
        dump = diag.listening_dump()
        assert dump.listeners() == diag.listeners()
        assert diag.listening_dump() == dump  # nothing changed
        with socket.create_server(("127.0.0.1", 8003)):
            assert diag.listening_dump() != dump


@pytest.mark.namespace
def test_overflow_is_seen_at_the_listener_and_in_the_counters() -> None:
    with SockDiag() as diag, socket.create_server(("127.0.0.1", 8001), backlog=1) as server, connections(server, 2):
        before = read_counters()
        with socket.socket() as late:
            late.settimeout(0.05)
            with pytest.raises(TimeoutError):
                late.connect(server.getsockname())
        after = read_counters()
        (listener,) = diag.listeners(8001)
        assert (listener.depth, listener.limit, listener.drops) == (2, 1, 1)
        assert after["TcpExt.ListenOverflows"] - before["TcpExt.ListenOverflows"] == 1
        shown = subprocess.run(["nstat", "-asz"], check=True, capture_output=True, text=True).stdout
        absolute = dict(re.findall(r"^(\w+)\s+(\d+)", shown, re.MULTILINE))
        for ours, theirs in (
            ("TcpExt.ListenDrops", "TcpExtListenDrops"),
            ("TcpExt.ListenOverflows", "TcpExtListenOverflows"),
            ("Tcp.PassiveOpens", "TcpPassiveOpens"),
            ("Tcp.ActiveOpens", "TcpActiveOpens"),
        ):
            assert read_counters()[ours] == int(absolute[theirs])


@pytest.mark.namespace
def test_server_sockets_tell_queued_from_accepted() -> None:
    with (
        SockDiag() as diag,
        socket.create_server(("::", 8001), family=socket.AF_INET6, backlog=50, dualstack_ipv6=True) as server,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", 8001))) for _ in range(5)]
        clients += [stack.enter_context(socket.create_connection(("::1", 8001))) for _ in range(5)]
        accepted = [stack.enter_context(server.accept()[0]) for _ in range(4)]
        clients[9].close()  # queued, and its peer is gone: CLOSE-WAIT
        accepted[0].close()  # closed by its owner: inode 0, and not queued
        until(lambda: "FIN-WAIT-2" in diag.server_sockets(8001).states)  # its peer acknowledges after 40 ms
        sockets = diag.server_sockets(8001)
        assert (sockets.queued, sockets.accepted) == (6, 3)
        shown = [line for line in ss("-tane", "sport = :8001") if line[0] != "LISTEN"]
        assert sockets.states == Counter(line[0] for line in shown)
        without_inode = [line for line in shown if line[0] in ("ESTAB", "CLOSE-WAIT") and "ino:0" in line]
        assert len(without_inode) == sockets.queued
        assert diag.server_sockets(8002).states == {}


@pytest.mark.namespace
def test_connections_as_ss_shows_them() -> None:
    with (
        SockDiag() as diag,
        socket.create_server(("127.0.0.1", 8004)) as server,
        socket.create_server(("127.0.0.1", 8005)) as other,
        connections(server, 3) as clients,
        connections(other, 1),
    ):
        accepted, _ = server.accept()
        with accepted:
            clients[0].sendall(b"x" * 90)  # nobody reads it, and two of the three are not even accepted
            clients[2].sendall(b"y" * 7)
            for asked, question in (
                (diag.connections(local_port=8004), "sport = :8004"),
                (diag.connections(remote_port=8004), "dport = :8004"),
            ):
                shown = {(line[3], line[4], int(line[1])) for line in ss("-tn", question) if line[0] == "ESTAB"}
                found = {
                    (f"{one.local_address}:{one.local_port}", f"{one.remote_address}:{one.remote_port}", one.rqueue)
                    for one in asked
                }
                assert found == shown
                assert len(shown) == 3
            at_server = {connection.remote_port: connection for connection in diag.connections(local_port=8004)}
            unread = [at_server[client.getsockname()[1]].rqueue for client in clients]
            assert unread == [90, 0, 7]
            assert [at_server[client.getsockname()[1]].inode > 0 for client in clients] == [True, False, False]
            assert diag.connections(local_port=8006) == []


@pytest.mark.namespace
def test_half_open_and_time_wait_are_not_queued() -> None:
    with (
        SockDiag() as diag,
        socket.create_server(("127.0.0.1", 8001)) as deferring,
        socket.create_server(("127.0.0.1", 8002)) as server,
    ):
        deferring.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
        with connections(deferring, 3):
            sockets = diag.server_sockets(8001)
            assert (sockets.states, sockets.queued, sockets.accepted) == ({"SYN-RECV": 3}, 0, 0)
        for _ in range(3):
            client = socket.create_connection(("127.0.0.1", 8002))
            accepted, _ = server.accept()
            accepted.close()  # the server closes first, so TIME-WAIT is its
            assert client.recv(1) == b""
            client.close()
        sockets = diag.server_sockets(8002)
        assert (sockets.states, sockets.queued, sockets.accepted) == ({"TIME-WAIT": 3}, 0, 0)


@pytest.mark.namespace
def test_port_use_counts_time_wait_and_source_addresses() -> None:
    with SockDiag() as diag, socket.create_server(("127.0.0.1", 8001)) as server, contextlib.ExitStack() as stack:
        for number in range(6):
            client = socket.create_connection(("127.0.0.1", 8001), source_address=(f"127.0.0.{2 + number // 4}", 0))
            accepted = stack.enter_context(server.accept()[0])
            if number % 2:
                client.close()
                assert accepted.recv(1) == b""
                accepted.close()
            else:
                stack.enter_context(client)
        use = diag.port_use("127.0.0.1", 8001)
        assert (use.used, use.time_wait, use.sources, use.worst_source_used) == (6, 3, 2, 4)
        assert len(ss("-tan", "dport = :8001")) == use.used
        assert len(ss("-tan", "state", "time-wait")) == use.time_wait == read_sockstat()["TCP.tw"]
        assert diag.port_use("127.0.0.2", 8001).used == 0
        assert diag.port_use("::1", 8001).used == 0
        assert diag.port_use("::ffff:127.0.0.1", 8001).used == 6


@pytest.mark.namespace
def test_an_ipv6_client_of_an_ipv4_target_is_seen() -> None:
    with (
        SockDiag() as diag,
        socket.create_server(("127.0.0.1", 8001)),
        socket.socket(socket.AF_INET6) as client,
    ):
        client.connect(("::ffff:127.0.0.1", 8001))
        assert diag.port_use("127.0.0.1", 8001).used == 1


@pytest.mark.namespace
@pytest.mark.parametrize(
    ("family", "listening", "target"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::", "::ffff:127.0.0.1"),  # a socket of IPv6 whose peer has an IPv4 address
    ],
)
def test_one_connection_is_asked_for_by_its_ends(family: socket.AddressFamily, listening: str, target: str) -> None:
    with (
        SockDiag() as diag,
        socket.create_server((listening, 8001), family=family, dualstack_ipv6=listening == "::") as server,
        socket.socket(family) as client,
    ):
        client.connect((target, 8001))
        accepted, _address = server.accept()
        (packed,) = diag.established_toward(target.removeprefix("::ffff:"), 8001)
        seen = diag.connection(packed)
        assert seen is not None
        connection, info = seen
        assert (connection.local_port, connection.remote_port) == (client.getsockname()[1], 8001)
        assert (connection.state, info.state, info.unacked) == (inet_diag.ESTABLISHED, inet_diag.ESTABLISHED, 0)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.close()  # by a reset, so that nothing is left of it
        assert diag.connection(packed) is None
        assert diag.listening(8001)  # the same netlink socket goes on


@pytest.mark.namespace
def test_ports_lost_to_bind() -> None:
    with SockDiag() as diag, socket.create_server(("127.0.0.1", 40001)), contextlib.ExitStack() as stack:
        for port in (40002, 40003, 20000):
            stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
        assert diag.bound_ports(32768, 60999) in (3, None)


@pytest.mark.namespace
def test_the_census_is_that_of_ss() -> None:
    with (
        SockDiag() as diag,
        socket.create_server(("127.0.0.1", 8001), backlog=2000) as server,
        connections(server, 900),
    ):
        assert diag.states() == Counter(line[0] for line in ss("-tan")) == {"ESTAB": 1800, "LISTEN": 1}
        assert diag.server_sockets(8001).queued == 900


@pytest.mark.namespace
def test_sockets_that_come_and_go_while_they_are_counted() -> None:
    stop = threading.Event()

    def churn(server: socket.socket) -> None:
        while not stop.is_set():
            with connections(server, 20):
                for _ in range(20):
                    server.accept()[0].close()

    with SockDiag() as diag, socket.create_server(("127.0.0.1", 8001), backlog=100) as server:
        # A thread inherits the namespace of the one that starts it.
        churning = threading.Thread(target=churn, args=(server,))
        churning.start()
        try:
            for _ in range(50):
                assert len(diag.listeners(8001)) == 1
                # A dump is no single moment: it can see more than were ever open at once.
                sockets = diag.server_sockets(8001)
                assert sockets.queued + sockets.accepted <= sum(sockets.states.values())
        finally:
            stop.set()
            churning.join()


class Answers:
    """Stands in for the kernel: each question sent is followed by the datagrams that were laid ready."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *datagrams: bytes, after_reopening: Sequence[bytes] = ()
    ) -> None:
        self.opened = 0
        self._datagrams = datagrams

        self._kept: list[socket.socket] = []

        def open_pair() -> socket.socket:
            ours, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._kept.append(kernels)
            for datagram in after_reopening if self.opened else self._datagrams:
                kernels.send(datagram)
            self.opened += 1
            return ours

        monkeypatch.setattr(SockDiag, "_open", staticmethod(open_pair))

    def close(self) -> None:
        for kept in self._kept:
            kept.close()


def done(*, flags: int = 0) -> bytes:
    return struct.pack("=IHHIIi", 20, netlink.NLMSG_DONE, flags, 1, 0, 0)


def failed(number: int) -> bytes:
    return struct.pack("=IHHIIi", 20, netlink.NLMSG_ERROR, 0, 1, 0, -number)


LISTENING = (Path(__file__).parents[1] / "data/6.18/inet-listen.bin").read_bytes()


def test_an_interrupted_dump_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted = done(flags=netlink.NLM_F_DUMP_INTR)
    answers = Answers(monkeypatch, LISTENING, interrupted, LISTENING, done())
    with SockDiag() as diag:
        assert len(diag.listening()) == TWO_DATAGRAMS
    answers.close()


def test_a_dump_that_never_holds_still(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(monkeypatch, *[done(flags=netlink.NLM_F_DUMP_INTR)] * 5)
    with SockDiag() as diag, pytest.raises(ReadError, match="changed during each of 5"):
        diag.states()
    answers.close()


def test_a_truncated_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sock_diag, "_BUFFER_BYTES", 64)
    answers = Answers(monkeypatch, LISTENING)
    with SockDiag() as diag, pytest.raises(ReadError, match="longer than 64 bytes was truncated"):
        diag.listening()
    assert answers.opened == 2
    answers.close()


@pytest.mark.parametrize(
    ("number", "says"),
    [(1, "not permitted here .EPERM."), (2, "no sock_diag .*modprobe"), (22, "refused the question: EINVAL")],
)
def test_what_the_kernel_refuses(monkeypatch: pytest.MonkeyPatch, number: int, says: str) -> None:
    answers = Answers(monkeypatch, failed(number), after_reopening=[failed(number)])
    with SockDiag() as diag, pytest.raises(MachineError, match=says):
        diag.states()
    answers.close()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP])
def test_a_kernel_that_asks_for_one_family_at_a_time_and_has_no_ipv6(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    answers = Answers(monkeypatch, failed(number), after_reopening=[LISTENING, done(), failed(2)])
    with SockDiag() as diag:
        assert len(diag.listening()) == TWO_DATAGRAMS
    answers.close()


@pytest.mark.namespace
def test_both_families_at_once_are_those_of_either() -> None:
    with (
        SockDiag() as diag,
        socket.create_server(("127.0.0.1", 8001)) as one,
        socket.create_server(("::1", 8001), family=socket.AF_INET6) as other,
        socket.create_server(("::", 8002), family=socket.AF_INET6, dualstack_ipv6=True) as both,
        socket.socket() as bound,
        connections(one, 3),
        connections(other, 2),
        connections(both, 1),
    ):
        bound.bind(("127.0.0.1", 40002))

        def asked() -> list[object]:
            everything = diag._dump(inet_diag.Sockets, inet_diag.ALL_STATES, extensions=inet_diag.EXT_SKMEMINFO).found
            halves = [
                diag._dump(inet_diag.Sockets, inet_diag.ALL_STATES, half=inet_diag.Half(46_883, same=same)).found
                for same in (True, False)
            ]
            found = [everything, *halves, diag.listening(), diag.connections(local_port=8001)]
            return [
                *(sorted((socket.replace(timer_ms=0) for socket in part), key=repr) for part in found),
                diag.port_use("127.0.0.1", 8001),
                diag.port_use("::1", 8001),
                diag.bound_ports(32768, 60999),
            ]

        at_once = asked()
        assert diag._families == sock_diag._BOTH_AT_ONCE
        diag._families = sock_diag._ONE_BY_ONE
        assert asked() == at_once


def test_a_forbidden_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(sock_diag.socket, "socket", forbid)
    with pytest.raises(MachineError, match="not permitted here"):
        SockDiag()


def test_a_second_question_after_a_damaged_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with SockDiag() as diag:
        with monkeypatch.context() as patch:

            def damaged(*_: object) -> inet_diag.DumpState:
                raise KeyboardInterrupt

            patch.setattr(EngineCensus, "receive", damaged)
            with pytest.raises(KeyboardInterrupt):
                diag.states()
        assert isinstance(diag.states(), dict)


@pytest.mark.namespace
@pytest.mark.parametrize("port", [8001, 40001, 55001])
def test_the_halves_of_a_census_are_the_whole(port: int) -> None:
    """Each socket is in one of two halves, and each has about half of both ends, whatever the server's port."""

    def count() -> tuple[int, int, int]:
        with SockDiag() as diag, socket.create_server(("127.0.0.1", port), backlog=500) as listener:
            ports = [*range(33_000, 33_150), *range(60_000, 60_150)]
            clients = [socket.create_connection(listener.getsockname(), source_address=("", own)) for own in ports]
            everything = inet_diag.ALL_STATES & ~inet_diag.states(inet_diag.BOUND_INACTIVE)
            halves = [
                diag._dump(inet_diag.SocketCounts, everything, half=inet_diag.Half(46_883, same=same)).total
                for same in (True, False)
            ]
            whole = diag._dump(inet_diag.SocketCounts, everything).total
            for client in clients:
                client.close()
        return whole, *halves

    whole, same, other = in_namespace(count)
    assert whole == same + other == 601
    assert {same, other} == {300, 301}
