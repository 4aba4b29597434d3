"""Writes a recording: a directory of segments, of which the oldest go. Every snapshot is in its file at once.

Nothing that is there is ever truncated: a segment is a new file (O_EXCL), and what ended badly stays as it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Sequence
from typing import Self

from estab.errors import UsageError
from estab.recording.segments import kept, name_of, outdated
from estab.recording.snapshot_file import SnapshotFile
from estab.records import Snapshot

LOCK = ".estab-record.lock"
LONGEST_S = 3600.0
_CLOSE_PART = 4
_PARTS = 16  # a segment takes at most this part of the room, and of the time, that the recording has
LEAST_BYTES = 1 << 20


class SegmentFile(SnapshotFile):
    """One segment that is written, or the close looks at a `cause`, begun at `from_s` (Unix time). Raises OSError."""

    def __init__(self, directory: str, from_s: float, cause: str | None = None) -> None:
        self.from_s = from_s
        super().__init__(*_new_file(directory, from_s, cause), compressed=True)

    def close(self) -> None:
        """End it. One without a whole snapshot is removed again."""
        super().close()
        if not self.snapshots:
            with contextlib.suppress(OSError):
                os.unlink(self.path)


class RecordingDirectory:
    """Writes snapshots into a directory, alone. A context manager.

    `failed` says why the last snapshots are not kept, as for a full disk; it is None again once they are.
    """

    def __init__(self, path: str, *, keep_s: float, max_bytes: int, close: bool = False) -> None:
        """Makes the directory where there is none. With `close` a quarter of `max_bytes` is for close looks.

        Raises UsageError where it can't be, or somebody writes there.
        """
        if not path:
            raise UsageError("`dir` is empty; give it a directory")
        self._most_close = max_bytes // _CLOSE_PART if close else 0
        max_bytes -= self._most_close
        self.path, self._keep_s, self._max_bytes = path, keep_s, max_bytes
        self.snapshots = self.written = 0
        self.failed: str | None = None
        self._segment: SegmentFile | None = None
        self._segment_bytes = max_bytes // _PARTS
        self._segment_s = min(LONGEST_S, keep_s / _PARTS)
        try:
            os.makedirs(path, exist_ok=True)
            self._lock = _locked(path)
        except OSError as error:
            raise UsageError(f"can't record to `dir` {path}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, together: Sequence[Snapshot]) -> None:
        """A round of snapshots. What can't be written is left out, and `failed` says why."""
        try:
            for taken in together:
                segment = self._segment_for(taken.taken_at_s)
                before = segment.size
                segment.write(taken)
                self.snapshots += 1
                self.written += segment.size - before
            self.failed = None
        except OSError as error:
            self.failed = f"can't write to {self.path}: {error.strerror}"
            self._end_segment()

    def close_looks(self, at_s: float, cause: str) -> SnapshotFile | None:
        """A file for close looks at what begins now; its owner closes it. None where none can be made.

        One file takes its sixteenth of their part at most: whoever writes asks `size`.
        """
        try:
            most = self._most_close - self.most_a_file
            for gone in outdated(kept(self.path, close=True), at_s, self._keep_s, most):
                os.unlink(os.path.join(self.path, gone.name))
            return SegmentFile(self.path, at_s, cause)
        except OSError:  # of a full disk the segments tell
            return None

    @property
    def most_a_file(self) -> int:
        """How many bytes of close looks one file may take."""
        return self._most_close // _PARTS

    def close(self) -> None:
        """End the segment, and let others write here. May be called twice."""
        self._end_segment()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _segment_for(self, at_s: float) -> SegmentFile:
        segment = self._segment
        if segment is not None and (segment.size >= self._segment_bytes or _is_over(segment, at_s, self._segment_s)):
            self._end_segment()
        if self._segment is None:
            self._remove_outdated(at_s)
            self._segment = SegmentFile(self.path, at_s)
        return self._segment

    def _end_segment(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def _remove_outdated(self, now_s: float) -> None:
        for segment in outdated(kept(self.path), now_s, self._keep_s, self._max_bytes - self._segment_bytes):
            os.unlink(os.path.join(self.path, segment.name))


def _is_over(segment: SegmentFile, at_s: float, longest_s: float) -> bool:
    """Whether a segment holds its time; where the clock was set back a new one is begun too."""
    return not 0 <= at_s - segment.from_s < longest_s


def _new_file(directory: str, from_s: float, cause: str | None) -> tuple[str, int]:
    for again in range(1000):
        path = os.path.join(directory, name_of(from_s, again, cause=cause))
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            continue
    raise FileExistsError(17, "a thousand segments were begun in one millisecond")


def _locked(directory: str) -> int:
    """The descriptor of the lock, which holds the PID of who has it. Raises OSError, and UsageError if another has."""
    lock = os.open(os.path.join(directory, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        who = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise UsageError(
            f"estab record with PID {who} writes to {directory} already; end it, or give another `dir`"
        ) from error
    with contextlib.suppress(OSError):  # a disk that is full may have room later
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    return lock
