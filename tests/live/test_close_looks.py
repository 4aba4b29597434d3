"""Close looks by a fast clock: what is kept of an hour, how close, in how much memory and disk; a file that fails."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from tests.live.stories import START_S, listener, snapshot

from estab.live import close_looks
from estab.live.close_looks import CloseLooks
from estab.observe.queues import QueueLook
from estab.recording.reading import snapshots
from estab.recording.segments import kept
from estab.recording.writer import RecordingDirectory
from estab.records import Conntrack, Listener, Snapshot

INODE = 1
COUNTERS = (b"TcpExt: ListenOverflows ListenDrops\nTcpExt: %d %d\n", b"Tcp: PassiveOpens\nTcp: 7\n")
FULL_FROM, FULL_TO = 1_800.35, 1_830.05  # seconds of the hour in which the queue is full


def depth(at_s: float) -> int:
    return 17 if FULL_FROM <= at_s <= FULL_TO else 0


def drops(at_s: float) -> int:
    return round(100 * max(0.0, min(at_s, FULL_TO) - FULL_FROM))


@dataclass(frozen=True)
class Told:
    seen: list[Listener]

    def listeners(self) -> list[Listener]:
        return self.seen

    def unix_listeners(self) -> list[Listener]:
        return self.seen


def look(at_s: float) -> QueueLook:
    lost = drops(at_s)
    seen = listener(80, depth(at_s), 16).replace(owners=None, drops=lost)
    return QueueLook(START_S + at_s, Told([seen]), (COUNTERS[0] % (lost, lost), COUNTERS[1]), 500)


def whole(at_s: float) -> Snapshot:
    lost = drops(at_s)
    return snapshot(at_s, listener(80, depth(at_s), 16).replace(drops=lost), inode=INODE).replace(
        counters={"TcpExt.ListenOverflows": lost, "TcpExt.ListenDrops": lost, "Tcp.PassiveOpens": 7}
    )


def hour(
    path: Path, seconds: int = 3_600, max_bytes: int = 100 << 20, whole: Callable[[float], Snapshot] = whole
) -> list[list[Snapshot]]:
    """An hour, of which the file of each episode is given."""
    with RecordingDirectory(str(path), keep_s=1e6, max_bytes=max_bytes, close=True) as into:
        close = CloseLooks(into)
        for second in range(seconds):
            into.write([whole(second)])
            close.judged([whole(second)])
            for tenth in range(1, 10):
                close.looked(INODE, look(second + tenth / 10))
        close.close()
    return [list(snapshots([str(path / file.name)])) for file in kept(str(path), close=True)]


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> list[Snapshot]:
    (file,) = hour(tmp_path_factory.mktemp("hour"), 2_000)
    return file


def test_a_minute_before_and_a_minute_after_are_kept(around: list[Snapshot]) -> None:
    times = [round(taken.taken_at_s - START_S, 1) for taken in around]
    assert times[0] == pytest.approx(1_740.1)  # a minute before the last look without it
    assert times[-1] == pytest.approx(1_891.0, abs=0.2)
    assert all(0 < later - earlier < 0.25 for earlier, later in pairwise(times))


def test_the_queue_is_seen_to_fill_within_a_tenth_of_a_second(around: list[Snapshot]) -> None:
    full = [taken.taken_at_s - START_S for taken in around if taken.listeners and taken.listeners[0].depth == 17]
    assert full[0] == pytest.approx(1_800.4)
    assert full[-1] == pytest.approx(1_829.9)  # whole seconds are in the segments


def test_a_close_look_says_who_owns_it_and_what_it_did_not_see(around: list[Snapshot]) -> None:
    (seen,) = around[0].listeners or []
    (owner,) = seen.owners or []
    assert (owner.name, owner.pid, owner.fds) == ("nginx", 4711, None)
    assert "census" in {gap.field for gap in around[0].unobserved}
    assert around[0].counters is not None


def test_nothing_is_kept_where_nothing_is_wrong(tmp_path: Path) -> None:
    assert hour(tmp_path, 100) == []


def test_where_nothing_stirs_it_is_judged_every_five_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spans: list[float] = []
    monkeypatch.setattr(
        close_looks, "finding_between", lambda before, after: spans.append(after.taken_at_s - before.taken_at_s)
    )
    hour(tmp_path, 100)
    assert spans == [5.0] * 19
    spans.clear()
    hour(tmp_path, 10, whole=lambda at: whole(FULL_FROM + 1 + at))  # what waits is judged each time
    assert spans == [1.0] * 9


def test_a_cause_that_no_listener_shows_is_kept_too(tmp_path: Path) -> None:
    def tracked(at_s: float) -> Snapshot:
        count = 262_144 if 70 <= at_s < 90 else 900
        return whole(at_s).replace(conntrack=Conntrack(count=count, maximum=262_144, drop=0))

    (file,) = hour(tmp_path, 160, whole=tracked)
    [kept_file] = kept(str(tmp_path), close=True)
    assert kept_file.name.endswith("conntrack_full_local.ndjson.gz")
    assert file[0].taken_at_s - START_S < 15
    assert file[-1].taken_at_s - START_S > 144  # its end is known to five seconds


def test_the_segments_hold_whole_looks_alone(tmp_path: Path) -> None:
    hour(tmp_path, 100)
    assert [taken.taken_at_s - START_S for taken in snapshots([str(tmp_path)])] == list(range(100))


def test_what_waits_is_bounded_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(close_looks, "MOST_WAITING_BYTES", 500 * 50)
    (file,) = hour(tmp_path, 1_900)
    assert file[0].taken_at_s - START_S > 1_795  # five seconds waited, no more


def test_what_is_kept_is_bounded_on_disk(tmp_path: Path) -> None:
    """Of 160 kB a quarter is for close looks, and a file has its sixteenth of that, and what was being written."""
    hour(tmp_path, 1_900, max_bytes=160_000)
    beginning, end = kept(str(tmp_path), close=True)
    assert max(beginning.size, end.size) < 2_500 + 2_000


def test_a_disk_that_is_full_costs_the_close_looks_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RecordingDirectory(str(tmp_path), keep_s=1e6, max_bytes=100 << 20, close=True) as into:
        close = CloseLooks(into)
        for second in range(1_795, 1_815):
            close.judged([whole(second)])
            close.looked(INODE, look(second + 0.5))
            if second == 1_805:
                monkeypatch.setattr(os, "write", _full)
        close.close()
    monkeypatch.undo()
    (file,) = kept(str(tmp_path), close=True)
    assert len(list(snapshots([str(tmp_path / file.name)]))) == 11


def _full(_fd: int, _data: bytes) -> int:
    raise OSError(28, os.strerror(28))
