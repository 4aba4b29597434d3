"""Recordings of any size: which part of them is meant, and the judge's word on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from estab.diagnose.episodes import RecordingJudge
from estab.errors import UsageError
from estab.recording import reading
from estab.recording.moments import Span, has_a_day, moment
from estab.records import Episodes, Snapshot
from estab.words import clock


def span_of(paths: Sequence[str], held: Sequence[Snapshot], since: str | None, until: str | None) -> Span:
    """From when to when is meant, of recordings and of snapshots that are held already.

    A time of day alone is the last one before their end. `until` as a time of day is the first one after `since`, where
    that is given. Raises UsageError for what is no moment, and for a span that ends before it begins.
    """
    end_s = 0.0
    if any(text is not None and not has_a_day(text) for text in (since, until)):
        end_s = max([*map(reading.last_moment, paths), *(taken.taken_at_s for taken in held)])
    since_s = None if since is None else moment(since, end_s)
    until_s = None if until is None else moment(until, end_s, after_s=since_s)
    if since_s is not None and until_s is not None and until_s < since_s:
        raise UsageError(f"`until` ({clock(until_s, day=True)}) is before `since` ({clock(since_s, day=True)})")
    return Span(since_s, until_s)


def judge_recording(snapshots: Iterable[Snapshot]) -> tuple[Episodes, Snapshot]:
    """The judge's word on a recording, read one snapshot after the other, the oldest first; and the last of them.

    Raises UsageError where there is none.
    """
    judge, last = RecordingJudge(), None
    for taken in snapshots:
        judge.feed(last := taken)
    if last is None:
        raise UsageError("no snapshot was taken in that time; without `since` and `until` all of it is judged")
    return judge.finish(), last


def read(paths: Sequence[str], held: Sequence[Snapshot], span: Span) -> Iterator[Snapshot]:
    """The snapshots of recordings and those `held` together, by their time, each when it is asked for."""
    return reading.snapshots(paths, [taken for taken in held if span.holds(taken.taken_at_s)], span)
