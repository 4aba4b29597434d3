"""A directory of segments: what is written can be read, whatever ended the writer; the oldest go, nothing else does."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from tests.diagnose.test_snapshots import listener, moment

from estab.errors import UsageError
from estab.recording import reading, writer
from estab.recording.segments import kept
from estab.recording.writer import LOCK, RecordingDirectory
from estab.records import Snapshot

START = 1_795_658_400.0
MEGABYTE = 1 << 20


def taken(number: int, depth: int = 0) -> Snapshot:
    return moment(START + number, {"ListenDrops": number * number}, listeners=[listener(depth)])


def recorded(path: Path) -> list[float]:
    return [each.taken_at_s - START for each in reading.snapshots([str(path)])]


def recording(path: Path, keep_s: float = 1e6, max_bytes: int = 100 * MEGABYTE) -> RecordingDirectory:
    return RecordingDirectory(str(path), keep_s=keep_s, max_bytes=max_bytes)


def write(path: Path, numbers: Sequence[int], **bounds: float) -> None:
    with recording(path, **bounds) as into:  # type: ignore[arg-type]
        for number in numbers:
            into.write([taken(number)])


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "directory"
    write(path, range(50))
    write(path, range(50, 60))
    assert list(reading.snapshots([str(path)])) == [taken(number) for number in range(60)]
    assert len(kept(str(path))) == 2  # a segment is never gone on with
    assert reading.last_moment(str(path)) == START + 59


def test_it_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    with recording(tmp_path) as into:
        for number in range(5):
            into.write([taken(number)])
            assert recorded(tmp_path) == list(range(number + 1))


def test_a_quiet_second_costs_little(tmp_path: Path) -> None:
    with recording(tmp_path) as into:
        into.write([taken(0)])
        first = into.written
        for number in range(1, 101):
            into.write([taken(number)])
        assert (into.written - first) / 100 < 80


def test_a_segment_is_an_hour_at_most(tmp_path: Path) -> None:
    write(tmp_path, range(0, 4 * 3600, 600))
    assert [segment.from_s - START for segment in kept(str(tmp_path))] == [0, 3600, 7200, 10800]
    assert recorded(tmp_path) == list(range(0, 4 * 3600, 600))


def test_the_oldest_go_when_they_are_too_old(tmp_path: Path) -> None:
    """Of four hours that are to be kept a segment has the sixteenth part, 900 s: here two looks, of 600 s each."""
    write(tmp_path, range(0, 36_000, 600), keep_s=4 * 3600)
    assert recorded(tmp_path) == list(range(20_400, 36_000, 600))  # the last segment was begun at 34,800


def test_the_oldest_go_when_there_is_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zlib, "compressobj", lambda *_: _Stored())
    for number in range(300):
        write(tmp_path, [number], max_bytes=100_000)
        assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 100_000
    assert max(int(name.name.split(".")[1][:3]) for name in tmp_path.glob("estab-*")) == 0
    assert len(kept(str(tmp_path))) > 10


class _Stored:
    """A gzip member that compresses nothing: of a size that is known."""

    def __init__(self) -> None:
        self._data = b""

    def compress(self, data: bytes) -> bytes:
        return b"x" * len(data)

    def flush(self, _mode: int) -> bytes:
        return b""


def test_what_is_not_a_segment_stays(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    write(tmp_path, [0], keep_s=60)
    write(tmp_path, [100_000, 200_000], keep_s=60)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert recorded(tmp_path) == [100_000, 200_000]


def test_a_clock_that_was_set_back_begins_a_new_segment(tmp_path: Path) -> None:
    write(tmp_path, [100, 101, 50, 51])
    assert len(kept(str(tmp_path))) == 2
    assert recorded(tmp_path) == [50.0, 51.0, 100.0, 101.0]


def test_one_writes_there_at_a_time(tmp_path: Path) -> None:
    with recording(tmp_path), pytest.raises(UsageError, match=f"PID {os.getpid()} writes to"):
        recording(tmp_path)
    recording(tmp_path).close()  # the lock's file stays, and locks nobody out
    assert (tmp_path / LOCK).exists()


@pytest.mark.parametrize("torn", [0, 1, 20])
def test_a_full_disk_costs_what_did_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: int) -> None:
    """The write that meets it may be torn; the snapshots before and after are whole, and nothing else goes."""
    really, full = os.write, False

    def written(fd: int, data: bytes) -> int:
        if not full:
            return really(fd, data)
        if torn and len(data) > torn:
            return really(fd, bytes(data)[:torn])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writer.os, "write", written)
    with recording(tmp_path) as into:
        for number in range(9):
            full = 3 <= number < 6
            into.write([taken(number)])
            assert (into.failed is not None) == full
            if full:
                assert into.failed == f"can't write to {tmp_path}: No space left on device"
    assert [number for number in recorded(tmp_path) if number != 3] == [0, 1, 2, 6, 7, 8]  # 3 may be all there
    assert len(kept(str(tmp_path))) == 2


WRITES = """
import sys
from tests.recording.test_writer import recording, taken
from pathlib import Path
with recording(Path(sys.argv[1])) as into:
    for number in range(int(sys.argv[2]), 1 << 30):
        into.write([taken(number)])
        print(number, flush=True)
"""


def test_kill_9_takes_nothing_but_the_last_snapshot(tmp_path: Path) -> None:
    """Killed at any point, again and again: all that was said to be written is there, in order, and whole."""
    told = 0
    for turn in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITES, str(tmp_path), str(told + 1)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        for _ in range(random.Random(turn).randrange(20, 200)):
            told = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        told = int((child.stdout.read().splitlines() or [told])[-1])
        child.wait()
        child.stdout.close()
        found = recorded(tmp_path)
        assert found[-1] in (told, told + 1)
        assert all(later - earlier in (0, 1) for earlier, later in pairwise(found))
        assert set(range(1, told + 1)) <= set(map(int, found))
