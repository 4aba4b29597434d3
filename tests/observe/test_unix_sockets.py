"""UNIX sockets that listen: what the kernel shows of them, against `ss`, and what a program's looks make of it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.namespaces import in_namespace
from tests.observe.test_sock_diag import ss

from estab.observe import processes, snapshot
from estab.observe.sock_diag import SockDiag
from estab.observe.unix_queues import UnixQueues
from estab.records import Listener

ABSTRACT = "\0estab-test-unix"
ADDRESS = "unix:@estab-test-unix"


@contextlib.contextmanager
def listening(name: str = ABSTRACT, backlog: int = 8, clients: int = 0) -> Iterator[socket.socket]:
    """A UNIX socket at which so many clients wait."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(name)
        server.listen(backlog)
        for _ in range(clients):
            stack.enter_context(socket.socket(socket.AF_UNIX)).connect(name)
        yield server


@pytest.mark.namespace
def test_as_ss_shows_them(tmp_path: Path) -> None:
    path = str(tmp_path / "s")

    def look() -> tuple[set[tuple[str, int, int]], set[tuple[str, int, int]]]:
        with listening(clients=3), listening(path, 2), SockDiag() as diag:
            shown = {(f"unix:{line[4]}", int(line[2]), int(line[3])) for line in ss("-lx")}
            return {(each.address, each.depth, each.limit) for each in diag.unix_listeners()}, shown

    ours, shown = in_namespace(look)
    assert ours == shown == {(ADDRESS, 3, 8), (f"unix:{path}", 0, 2)}


@pytest.mark.namespace
def test_one_address_and_its_server_side(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    bound, asked = str(tmp_path / "real" / "s"), f"unix:{tmp_path / 'link' / 's'}"

    def look() -> tuple[list[str], int, int]:
        with listening(clients=2), listening(bound, clients=3) as server, server.accept()[0], SockDiag() as diag:
            sockets = diag.unix_server_sockets(asked)
            return [each.address for each in diag.unix_listeners(asked)], sockets.queued, sockets.accepted

    assert in_namespace(look) == ([f"unix:{bound}"], 2, 1)


@pytest.mark.namespace
def test_a_snapshot_has_them_with_their_owners() -> None:
    def look() -> tuple[list[Listener] | None, list[Listener] | None, list[Listener] | None, dict[str, int] | None]:
        with listening(clients=9):
            whole, alone = snapshot.take(), snapshot.take(unix=ADDRESS)
            return whole.unix_listeners, snapshot.take(port=80).unix_listeners, alone.unix_listeners, alone.counters

    whole, of_a_port, alone, counters = in_namespace(look)
    assert whole is not None
    assert alone is not None
    (listener,) = whole
    assert (listener.family, listener.address, listener.port, listener.drops) == (1, ADDRESS, 0, None)
    assert (listener.depth, listener.limit) == (9, 8)
    assert [owner.name for owner in listener.owners or ()] == [processes.process(os.getpid()).name]  # type: ignore[union-attr]
    assert of_a_port is counters is None
    assert [each.address for each in alone] == [ADDRESS]


def queue(depth: int, inode: int = 5, limit: int = 8) -> Listener:
    return Listener(family=1, address=f"unix:/run/{inode}", port=0, depth=depth, limit=limit, inode=inode)


def test_looks_at_queues() -> None:
    queues = UnixQueues()
    assert queues.seen() is None
    queues.start([queue(9, 6), queue(0)])
    for depth in (0, 9, 9, 4):
        own = queues.add([queue(depth), queue(9, 6), queue(0, 7), queue(0, 8)], lambda inode: inode == 8)
        assert [each.inode for each in own] == [8]
    seen = queues.seen()
    assert seen is not None
    told = [(each.address, each.worst_depth, each.full_looks, each.looks, each.full_before, each.own) for each in seen]
    assert told == [
        ("unix:/run/6", 9, 4, 4, True, False),
        ("unix:/run/5", 9, 2, 4, False, False),
        ("unix:/run/8", 0, 0, 4, False, True),  # at the others nothing ever waited
    ]
