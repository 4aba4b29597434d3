"""What a replay plays: the rounds of a recording, or of a long one an hour around a moment."""

from __future__ import annotations

from pathlib import Path

from estab.api.files import read_record
from estab.errors import ReadError, UsageError
from estab.live.model import rounds
from estab.recording.moments import Span, moment
from estab.recording.reading import is_directory, last_moment, snapshots
from estab.records import RunResult, Snapshot
from estab.words import clock

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
