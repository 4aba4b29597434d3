"""Whose sockets are counted, to where, and what became of them: on this kernel, and of made-up dumps."""

from __future__ import annotations

import os
import socket
import struct
from array import array

import pytest
from tests import namespaces

from estab import _engine
from estab.observe.owned_sockets import OwnedSockets
from estab.observe.sock_diag import SockDiag

ESTABLISHED, SYN_SENT = 1, 2
RETRANSMIT = 1


def message(inode: int, *, state: int = ESTABLISHED, port: int = 80, local: int = 40000, resent: int = 0) -> bytes:
    """One socket towards 10.0.0.5, as sock_diag shows it (struct inet_diag_msg)."""
    timer = RETRANSMIT if resent else 0
    ends = struct.pack("!HH16s16s", local, port, bytes(16), socket.inet_aton("10.0.0.5") + bytes(12))
    body = struct.pack("=BBBB", socket.AF_INET, state, timer, resent) + ends + bytes(12)
    body += struct.pack("=IIIII", 0, 0, 0, 0, inode)
    return struct.pack("=IHHII", 16 + len(body), 20, 2, 1, 0) + body


@pytest.fixture
def pair() -> tuple[_engine.Owned, int]:
    """What counts the sockets of this process, and the inode of one of them."""
    with socket.socket() as mine:
        owned = _engine.owned()
        sockets, hidden = owned.hold_sockets_of(array("i", [os.getpid()]).tobytes())
        assert sockets >= 1
        assert hidden == 0
        return owned, os.fstat(mine.fileno()).st_ino


def of(owned: _engine.Owned) -> list[tuple[int, ...]]:
    """port, open, waiting, unanswered, resending, most open, worst resent, seen, given up."""
    return [row[1:] for row in owned.targets()]


def test_only_the_processes_sockets_count(pair: tuple[_engine.Owned, int]) -> None:
    owned, inode = pair
    assert owned.holds(inode)
    assert not owned.holds(inode + 1_000_000)
    owned.add(message(inode) + message(inode + 1_000_000) + message(0))
    owned.turn()
    assert of(owned) == [(80, 1, 0, 0, 0, 1, 0, 1, 0)]


def test_a_dump_that_is_asked_for_again_counts_once(pair: tuple[_engine.Owned, int]) -> None:
    owned, inode = pair
    owned.add(message(inode))
    owned.add(message(inode))
    owned.turn()
    assert of(owned) == [(80, 1, 0, 0, 0, 1, 0, 1, 0)]


def test_an_unanswered_syn_that_is_gone_was_given_up(pair: tuple[_engine.Owned, int]) -> None:
    owned, inode = pair
    owned.add(message(inode, state=SYN_SENT))
    owned.turn()
    assert of(owned) == [(80, 0, 1, 0, 0, 0, 0, 1, 0)]
    owned.add(message(inode, state=SYN_SENT, resent=2))
    owned.turn()
    assert of(owned) == [(80, 0, 1, 1, 0, 0, 2, 1, 0)]
    owned.turn()
    assert of(owned) == [(80, 0, 0, 0, 0, 0, 2, 1, 1)]


def test_one_that_connected_late_was_not_given_up(pair: tuple[_engine.Owned, int]) -> None:
    owned, inode = pair
    owned.add(message(inode, state=SYN_SENT, resent=1))
    owned.turn()
    owned.add(message(inode))
    owned.turn()
    owned.turn()
    assert of(owned) == [(80, 0, 0, 0, 0, 1, 1, 1, 0)]


def test_what_others_opened_is_no_target(pair: tuple[_engine.Owned, int]) -> None:
    owned, inode = pair
    owned.set_listening(array("H", [40000]).tobytes())
    owned.add(message(inode))
    owned.turn()
    assert owned.targets() == []
    assert owned.incoming()[2] == 1


def test_thousands_of_targets_are_counted_together_beyond_a_bound(pair: tuple[_engine.Owned, int]) -> None:
    owned, inode = pair
    for port in range(1, 5001):
        owned.add(message(inode, port=port))
    owned.turn()
    rows = of(owned)
    assert len(rows) == 4096
    assert rows[-1][0] == 0
    assert sum(row[1] for row in rows) == 4096  # one socket that is everywhere: once among all that are too many


@pytest.mark.parametrize("cut", [0, 1, 15, 16, 60, 87])
def test_a_cut_datagram_is_left_where_it_ends(pair: tuple[_engine.Owned, int], cut: int) -> None:
    owned, inode = pair
    assert owned.add(message(inode) + message(inode, port=81)[:cut])[0] == 88
    owned.turn()
    assert len(owned.targets()) == 1


@pytest.mark.namespace
def test_on_this_kernel() -> None:
    def look() -> tuple[list[tuple[str, int, int]], bool]:
        with socket.create_server(("127.0.0.1", 0)) as server, SockDiag() as diag:
            port = server.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)):
                seen = OwnedSockets()
                seen.look(diag, [os.getpid()], [port])
                mine = [(each.so_far.address, each.so_far.port - port, each.open) for each in seen.targets()]
                return mine, seen.holds(os.fstat(server.fileno()).st_ino)

    assert namespaces.in_namespace(look) == ([("127.0.0.1", 0, 1)], True)
