"""What the live view reads of this host, how it bounds what is costly, and the recording."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.live.stories import snapshot, story
from tests.namespaces import in_namespace

from estab.errors import MachineError, UsageError
from estab.live import background
from estab.live.background import BackgroundWork, seldom
from estab.live.replay import recorded
from estab.live.sampling import Sampler, check_interval
from estab.live.view import PUT_OFF
from estab.load.conductor import Stop
from estab.observe import counters
from estab.observe.owners import KnownOwners
from estab.observe.pace import Pace
from estab.observe.sock_diag import SockDiag
from estab.recording.snapshot_file import RecordingFile
from estab.records import Snapshot


def looked(count: int, interval_s: float = 0.01, sampler: Sampler | None = None) -> list[list[Snapshot]]:
    with Stop() as stop:
        return list((sampler or Sampler()).rounds(interval_s, stop, count))


def test_cheap_at_every_look_and_whole_at_both_ends() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=9) as server:
        address = server.getsockname()
        with socket.create_connection(address):
            snapshots = [alone for (alone,) in looked(4)]
    for moment in snapshots:
        mine = next(row for row in moment.listeners or () if row.port == address[1])
        assert (mine.depth, mine.limit, mine.worst_depth) == (1, 9, 1)
        assert [owner.pid for owner in mine.owners or ()] == [os.getpid()]
        assert moment.counters is not None
        assert moment.sysctls is not None
    assert snapshots[0].census is not None
    assert snapshots[-1].census is not None
    assert snapshots[-1].states == snapshots[-1].census.states
    assert snapshots[-1].targets is not None
    between = snapshots[1:-1]
    assert all(moment.census is None for moment in between)
    assert all(("census", PUT_OFF) in [(gap.field, gap.why) for gap in moment.unobserved] for moment in between)


def test_listeners_and_counters_are_of_one_moment_and_their_owners_were_seen_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = []

    def noted(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def note(*arguments: Any) -> Any:
            order.append(name)
            return work(*arguments)

        return note

    for of, name in (
        (KnownOwners, "look"),
        (SockDiag, "listeners"),
        (counters, "read_counters"),
        (KnownOwners, "fill"),
    ):
        monkeypatch.setattr(of, name, noted(name, getattr(of, name)))
    looked(1)
    assert order[:4] == ["look", "listeners", "read_counters", "fill"]


def test_the_busiest_target_is_counted() -> None:
    def work() -> list[tuple[str, int, int]]:
        with socket.create_server(("127.0.0.1", 7000), backlog=50) as server:
            clients = [socket.create_connection(server.getsockname()) for _ in range(20)]
            ((taken,),) = looked(1)
            for client in clients:
                client.close()
        return [(target.address, target.used, target.sources) for target in taken.targets or ()]

    assert in_namespace(work) == [("127.0.0.1", 20, 1)]


def test_a_stop_gives_one_last_whole_look() -> None:
    with Stop() as stop:
        rounds = Sampler().rounds(3600, stop)
        next(rounds)
        stop.set()
        (last,) = next(rounds)
        assert last.census is not None
        assert next(rounds, None) is None


def test_all_namespaces_begin_with_the_own() -> None:
    (together,) = looked(1, sampler=Sampler(all_netns=True))
    assert together[0].netns is None
    inodes = [snapshot.host.netns_inode for snapshot in together]
    assert len(set(inodes)) == len(inodes)


def test_a_namespace_that_goes_away_ends_the_looks(tmp_path: Path) -> None:
    sampler = Sampler(netns=str(os.getpid()))
    namespace = sampler._namespaces[0]
    sampler._namespaces = [namespace.replace(path=str(tmp_path / "gone"))]
    with pytest.raises(MachineError, match="can't look into network namespace"):
        looked(1, sampler=sampler)


@pytest.mark.parametrize("interval_s", [0.0, 0.0999, 3601.0, float("nan"), float("inf")])
def test_intervals_that_cannot_be(interval_s: float) -> None:
    with pytest.raises(UsageError, match=r"0\.1 to 3,600 seconds"):
        check_interval(interval_s)


def test_pace_puts_off_what_costs_much() -> None:
    now, spent = [100.0], [0.0]
    pace = Pace(share=0.01, every_s=2.0, clock=lambda: now[0], cost=lambda: spent[0])
    assert pace.due
    pace.spend(lambda: spent.__setitem__(0, 0.05))
    for now[0], due in ((104.9, False), (105.1, True)):
        assert pace.due is due
    pace.spend(lambda: None)
    for now[0], due in ((107.0, False), (107.2, True)):
        assert pace.due is due


def test_what_takes_long_does_not_hold_up_the_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "WAIT_S", 0.01)
    go = threading.Event()
    counting: BackgroundWork[int] = BackgroundWork(seldom())

    def work() -> int:
        go.wait(20)
        return 7

    assert counting.result(work) is None
    assert counting.result(work, now=True) is None
    go.set()
    assert counting._thread is not None
    counting._thread.join(20)
    assert counting.result(work) == 7


def test_a_recording_holds_what_was_seen(tmp_path: Path) -> None:
    rounds = [[snapshot] for snapshot in story()]
    rounds[3].append(snapshot(3.0, netns="box", inode=2))
    with RecordingFile(str(tmp_path / "kept")) as recorder:
        assert list(recorder.through(rounds)) == rounds
        assert recorder.snapshots == 11
    assert recorded(tmp_path / "kept") == rounds


def test_a_full_disk_ends_the_recording_alone() -> None:
    with RecordingFile("/dev/full") as recorder:
        assert list(recorder.through([[snapshot(0)], [snapshot(1)]])) == [[snapshot(0)], [snapshot(1)]]
        assert recorder.failed is not None
        assert "after 0 snapshots: No space left on device" in recorder.failed
