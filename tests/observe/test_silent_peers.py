"""Peers that do not acknowledge: real connections whose way is cut, as sock_diag and TCP_INFO show them."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

import pytest
from tests.namespaces import Namespace, in_namespace, joined, run

from estab.kernel.formats import inet_diag
from estab.kernel.formats.endpoint import endpoint
from estab.kernel.formats.inet_diag import InetSocket
from estab.kernel.formats.tcp_info import TcpInfo
from estab.observe import silent_peers, snapshot
from estab.observe.silent_peers import MOST_FOLLOWED, MOST_LOOKS, PeerWatch, ResendWatch
from estab.observe.sock_diag import SockDiag
from estab.observe.watch import Watch
from estab.records import PeerLook, Stall

HERE, THERE, PORT = "10.9.0.1", "10.9.0.2", 5000
_WITHIN_S = 20.0  # the second time-out of data comes after 0.6 s


@contextlib.contextmanager
def _cut_off() -> Iterator[tuple[Namespace, list[socket.socket]]]:
    """Two hosts, three connections from here to there that were answered once; then the other's link is down."""
    client, server = Namespace(), Namespace()
    joined(client, f"{HERE}/24", server, f"{THERE}/24", names="cut")
    with contextlib.ExitStack() as kept:
        with server.entered():
            listener = kept.enter_context(socket.create_server((THERE, PORT)))
        with client.entered():
            ours = [kept.enter_context(socket.create_connection((THERE, PORT))) for _ in range(3)]
        for each in ours:
            theirs, _address = listener.accept()
            kept.enter_context(theirs).sendall(b"hello")
            assert each.recv(5) == b"hello"
        with server.entered():
            run("ip", "link", "set", "cut1", "down")
        yield client, ours


def _until(seen: Callable[[], object]) -> None:
    deadline = time.monotonic() + _WITHIN_S
    while not seen():
        assert time.monotonic() < deadline, f"not within {_WITHIN_S:g} s"
        time.sleep(0.05)


def _until_resending(diag: SockDiag, wanted: int) -> PeerLook:
    _until(lambda: silent_peers.look(diag, THERE, PORT).resending == wanted)
    return silent_peers.look(diag, THERE, PORT)


def _seen_of_a_cut_way() -> None:
    with _cut_off() as (client, ours), client.entered(), SockDiag() as diag:
        assert silent_peers.looks(diag, diag.count().resending) == []
        assert snapshot.take(diag=diag).silent_peers == []
        for each in ours[:2]:
            each.sendall(b"are you there?")
        look = _until_resending(diag, 2)
        assert (look.address, look.port, look.connections) == (THERE, PORT, 3)
        assert look.heard_s is not None
        assert -_WITHIN_S < look.heard_s <= 0
        assert {stall.connection.split(" -> ")[1] for stall in look.sample} == {f"{THERE}:{PORT}"}
        for stall in look.sample:
            assert (stall.unacked, stall.bytes_received, stall.bytes_acked) == (1, 5, 1)
            assert stall.retransmits >= 2
            assert stall.heard_s <= stall.asked_s <= 0
        (found,) = silent_peers.looks(diag, diag.count().resending)
        assert (found.address, found.resending) == (THERE, 2)
        assert silent_peers.looks(diag, diag.count().resending, {each.getsockname()[1] for each in ours}) == []
        (taken,) = snapshot.take(diag=diag).silent_peers or []
        assert taken.resending == 2


def _watched() -> None:
    now = [0.0]
    watch = PeerWatch(lambda: now[0])
    with _cut_off() as (client, ours), client.entered(), SockDiag() as diag:
        watch.look(diag, [(THERE, PORT)])
        assert watch.seen() == []
        for each in ours:
            each.sendall(b"are you there?")
        _until_resending(diag, 3)
        watch.look(diag, [(THERE, PORT)])  # too soon
        assert watch.seen() == []
        now[0] = 7.0
        watch.look(diag, [(THERE, PORT)])
    (look,) = watch.seen()
    assert (look.at_s, look.resending) == (7.0, 3)
    assert look.heard_s is not None
    assert look.heard_s < 7.0


def _followed() -> None:
    with _cut_off() as (client, ours), client.entered(), SockDiag() as diag:
        followed = ResendWatch()
        followed.look(diag, 0.1)
        assert followed.seen() == []
        for each in ours[:2]:
            each.sendall(b"are you there?")
        _until_resending(diag, 2)
        followed.notice(diag.toward(THERE, PORT).resending)
        followed.look(diag, 0.7)
        at_first = {look.connection: look for look in followed.seen()}
        assert {name.split(" -> ")[0] for name in at_first} == {endpoint(*each.getsockname()) for each in ours[:2]}

        def timed_out_again() -> Stall | None:
            followed.look(diag, 9.0)
            each = (look for look in followed.seen() if look.retransmits > at_first[look.connection].retransmits)
            return next(each, None)

        _until(timed_out_again)
        later = timed_out_again()
        assert later is not None
        assert (later.at_s, later.bytes_acked, later.unacked) == (9.0, 1, 1)
        assert later.heard_s < later.asked_s < 9.0
        for each in ours:
            each.close()  # what is unacknowledged of it is sent on by the kernel alone
        seen = followed.seen()
        followed.look(diag, 10.0)
        assert followed.seen() == seen


def _by_a_run() -> None:
    with _cut_off() as (client, ours), client.entered(), contextlib.closing(Watch(THERE, PORT)) as watch:
        watch.start()
        with SockDiag() as diag:
            ours[0].sendall(b"are you there?")  # of before the run, so none of its
            _until_resending(diag, 1)
        watch.settled()
        watch.sample(at_s=1.0)
        assert watch.finish().client.resending == []


_PACKED = [bytes(35) + bytes([number]) for number in range(9)]


class _Told:
    """A stand-in for sock_diag: each look at a connection finds one more time-out, until it is gone."""

    def __init__(self) -> None:
        self.retransmits = 2
        self.state = inet_diag.ESTABLISHED
        self.asked: list[bytes] = []

    def connection(self, packed: bytes) -> tuple[InetSocket, TcpInfo] | None:
        self.asked.append(packed)
        if packed == _PACKED[1]:
            return None
        connection = InetSocket(
            family=4, state=self.state, timer=1, retransmits=self.retransmits,
            local_address="10.9.0.1", local_port=40_000 + packed[35], remote_address=THERE, remote_port=PORT,
            interface=0, cookie=bytes(8), timer_ms=0, rqueue=0, wqueue=0, uid=0, inode=1,
        )  # fmt: skip
        info = TcpInfo(
            state=self.state, retransmits=self.retransmits, backoff=0, has_timestamps=True, rto_us=200_000,
            snd_mss=1448, unacked=1, last_data_sent_ms=0, last_data_recv_ms=500, last_ack_recv_ms=400, pmtu=1500,
            total_retrans=self.retransmits,
        )  # fmt: skip
        return connection, info


def test_no_more_than_some_are_followed_and_some_of_the_looks_at_each_kept() -> None:
    followed, told = ResendWatch(), _Told()
    followed.notice(b"".join(_PACKED[:2]))
    followed.notice(b"".join(_PACKED))
    for second in range(20):
        told.retransmits = 2 + second // 3  # each state is seen three times
        followed.look(told, float(second))  # type: ignore[arg-type]
    assert set(told.asked) == set(_PACKED[:MOST_FOLLOWED])
    assert told.asked.count(_PACKED[1]) == 1  # it is gone
    looks = followed.seen()
    assert [look.connection.split(" -> ")[0] for look in looks[::MOST_LOOKS]] == [
        f"10.9.0.1:{port}" for port in (40_000, 40_002, 40_003)
    ]
    assert [look.at_s for look in looks[:MOST_LOOKS]] == [0.0, 2.0, 3.0, 5.0, 15.0, 17.0, 18.0, 19.0]
    assert looks[0].heard_s == -0.4
    told.state = inet_diag.FIN_WAIT_1
    followed.look(told, 21.0)  # type: ignore[arg-type]
    followed.look(told, 22.0)  # type: ignore[arg-type]
    assert followed.seen() == looks


@pytest.mark.namespace
@pytest.mark.parametrize("work", [_seen_of_a_cut_way, _watched, _followed, _by_a_run])
def test_connections_whose_way_is_cut(work: Callable[[], None]) -> None:
    in_namespace(work)
