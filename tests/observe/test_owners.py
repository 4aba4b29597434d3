from __future__ import annotations

import os
import socket

import pytest

from estab.observe import owners
from estab.observe.gaps import Gaps
from estab.observe.owners import KnownOwners
from estab.observe.processes import Owners
from estab.observe.sock_diag import SockDiag
from estab.records import Listener, Process


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def listener(inode: int) -> Listener:
    return Listener(family=4, address="127.0.0.1", port=80, depth=0, limit=1, inode=inode)


def test_this_process_owns_its_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, SockDiag() as diag:
        gaps = Gaps()
        found = KnownOwners().fill(diag.listeners(server.getsockname()[1]), gaps)
    assert [owner.pid for one in found for owner in one.owners or ()] == [os.getpid()]
    assert gaps.found == []


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """What was searched for; the search finds this process to own all but inode 9."""
    asked: list[set[int]] = []

    def search(inodes: set[int]) -> Owners:
        asked.append(set(inodes))
        return Owners(by_inode={inode: [os.getpid()] for inode in inodes if inode != 9}, hidden=2)

    monkeypatch.setattr(owners.processes, "owners", search)
    return asked


def test_all_processes_are_searched_for_what_is_new_and_now_and_then(searches: list[set[int]]) -> None:
    clock = Clock()
    known = KnownOwners(clock)
    for at, inodes in ((1, {1}), (2, {1}), (3, {1, 2}), (4, {1, 2}), (32, {1, 2}), (34, {1, 2})):
        clock.now = at
        assert all(one.owners for one in known.fill([listener(inode) for inode in inodes], Gaps()))
    assert searches == [{1}, {1, 2}, {1, 2}]


def test_owners_that_are_known_are_as_they_were_seen_before_the_listeners(
    searches: list[set[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def named(name: str) -> None:
        monkeypatch.setattr(owners.processes, "process", lambda pid, closely=False: Process(pid=pid, name=name))

    def names(*inodes: int) -> list[str | None]:
        filled = known.fill([listener(inode) for inode in inodes], Gaps())
        return [owner.name for one in filled for owner in one.owners or ()]

    known = KnownOwners(Clock())
    named("first")
    known.look()
    assert names(1) == ["first"]
    named("before")
    known.look()
    named("after")
    assert names(1) == ["before"]
    assert names(1) == ["after"]  # seen by no look of its own


def test_one_that_nobody_owns_is_searched_once_and_said(searches: list[set[int]]) -> None:
    clock = Clock()
    known = KnownOwners(clock)
    for at in (1, 2):
        clock.now = at
        gaps = Gaps()
        assert known.fill([listener(9)], gaps)[0].owners is None
        assert [(gap.field, "2 processes" in gap.why) for gap in gaps.found] == [("listeners.owners", True)]
    assert searches == [{9}]


def test_threads_are_looked_at_in_a_share_of_the_time(searches: list[set[int]]) -> None:
    clock, cost = Clock(), Clock()
    known = KnownOwners(clock, cost)
    seen = []
    for at in range(8):
        clock.now = at
        (filled,) = known.fill([listener(1)], Gaps())
        assert filled.owners is not None
        seen.append(filled.owners[0].threads is not None)
    assert all(seen)  # it cost nothing
    dear = KnownOwners(clock, lambda: next(ticks))
    ticks = iter(range(100))
    seen = []
    for at in (0, 100, 300, 340):
        clock.now = at
        seen.append((dear.fill([listener(1)], Gaps())[0].owners or [])[0].threads is not None)
    assert seen == [True, False, False, True]
