"""Peers that do not acknowledge: real connections whose way is cut, as sock_diag and TCP_INFO show them."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

import pytest
from tests.namespaces import Namespace, in_namespace, joined, run

from estab.observe import silent_peers, snapshot
from estab.observe.silent_peers import PeerWatch
from estab.observe.sock_diag import SockDiag
from estab.records import PeerLook

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


def _until_resending(diag: SockDiag, wanted: int) -> PeerLook:
    deadline = time.monotonic() + _WITHIN_S
    while time.monotonic() < deadline:
        look = silent_peers.look(diag, THERE, PORT)
        if look.resending == wanted:
            return look
        time.sleep(0.05)
    raise AssertionError(f"not {wanted} connections sent their data again within {_WITHIN_S:g} s")


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


@pytest.mark.namespace
@pytest.mark.parametrize("work", [_seen_of_a_cut_way, _watched])
def test_connections_whose_way_is_cut(work: Callable[[], None]) -> None:
    in_namespace(work)
