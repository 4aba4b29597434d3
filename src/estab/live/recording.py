"""A recording: every snapshot that was seen, one line of JSON each, as `estab observe` prints them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

from estab.api.files import read_record
from estab.errors import ReadError, UsageError
from estab.live.model import rounds
from estab.recording.moments import Span, moment
from estab.recording.reading import is_directory, last_moment, snapshots
from estab.records import RunResult, Snapshot, encode
from estab.words import clock, plural


class RecordingWriter:
    """Writes rounds to a file as they come. A context manager.

    A disk that is full ends the recording, not the view: `failed` then says why.
    """

    def __init__(self, path: str) -> None:
        """Raises UsageError where the file can't be written."""
        self.path = path
        self.snapshots = 0
        self.failed: str | None = None
        if not path:
            raise UsageError("`path` is empty; give it a file")
        try:
            # Not buffered: what was seen is in the file, whatever ends this process.
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise UsageError(f"can't write `path` {path}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, together: Sequence[Snapshot]) -> None:
        """One more round."""
        if self.failed is not None or self._fd < 0:
            return
        try:
            for snapshot in together:
                left = memoryview(encode(snapshot) + b"\n")
                while left:
                    left = left[os.write(self._fd, left) :]
                self.snapshots += 1
        except OSError as error:
            self.failed = f"recording to {self.path} ended after {plural(self.snapshots, 'snapshot')}: {error.strerror}"

    def through(self, rounds: Iterable[list[Snapshot]]) -> Iterator[list[Snapshot]]:
        """The rounds, each written before it is passed on."""
        for together in rounds:
            self.write(together)
            yield together

    def close(self) -> None:
        """May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


BEFORE_S, AFTER_S = 600.0, 3000.0  # of a long recording so much is held around a moment


def recorded_around(path: str, at: str | None) -> tuple[list[list[Snapshot]], int]:
    """The rounds of a recording, and how many of them come before the moment `at` (02:13, UTC).

    Of the directory of `estab record`, and wherever `at` is given, it is an hour around that moment, or the last hour.
    Raises ReadError, with the path and the line, for what is none, UsageError for what is no moment of it.
    """
    if not is_directory(path) and at is None:
        return recorded(path), 0
    end_s = last_moment(path)
    middle_s = end_s - AFTER_S if at is None else moment(at, end_s)
    together = rounds(snapshots([path], span=Span(middle_s - BEFORE_S, middle_s + AFTER_S)))
    before = sum(taken[0].taken_at_s < middle_s for taken in together)
    if at is not None and before == len(together):
        raise UsageError(f"`at` {at} ({clock(middle_s, day=True)} UTC) is not in {path}: nothing was recorded then")
    return together, 0 if at is None else before


def recorded(path: str | Path) -> list[list[Snapshot]]:
    """The rounds of a file. Raises ReadError, with the path and the line, for what is none."""
    record = read_record(path)
    if isinstance(record, RunResult):
        raise ReadError(f"{path}: it holds a run, not snapshots; estab diagnose {path} judges it")
    return rounds(record)
