"""Reads recordings, each snapshot once, in the order of time, whatever their size."""

from __future__ import annotations

import heapq
import math
import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count

from estab.errors import EstabError, ReadError
from estab.recording.codec import LineDecoder
from estab.recording.compressed import CHUNK, lines
from estab.recording.moments import Span
from estab.recording.segments import kept, within
from estab.records import SNAPSHOT_SCHEMA, Snapshot, schema_of

DISORDER = 64  # so many places may a snapshot stand from its own
ALL = Span()


def is_directory(path: str) -> bool:
    """Whether it is a recording's directory, or another."""
    return os.path.isdir(path)


def is_recording(path: str) -> bool:
    """Whether it can be read as a stream: a directory, or a file that begins with a snapshot."""
    if is_directory(path):
        return True
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        first = next((line for line in _lines(path) if line.strip()), b"")
        return schema_of(first).startswith(SNAPSHOT_SCHEMA.partition("/")[0] + "/")
    except (EstabError, OSError):
        return False


def snapshots(paths: Iterable[str], held: Iterable[Snapshot] = (), span: Span = ALL) -> Iterator[Snapshot]:
    """The snapshots of files and directories, and those `held`, by their time.

    Raises ReadError with the file and the line.
    """
    streams = [in_order(_of(path, span)) for path in paths]
    return heapq.merge(*streams, sorted(held, key=_time), key=_time)


def last_moment(path: str) -> float:
    """When a recording ends: the time of its last snapshot. Raises ReadError where it holds none."""
    for file in reversed(_files(path, ALL)):
        last = deque(decoded(_lines(file), file), maxlen=1)
        if last:
            return last[0].taken_at_s
    raise ReadError(f"{path}: it holds no snapshot")


def close_looks(path: str, span: Span = ALL) -> list[str]:
    """The files of close looks in a recording's directory that were begun in a span of time, the oldest first."""
    try:
        return [os.path.join(path, file.name) for file in kept(path, close=True) if span.holds(file.from_s)]
    except OSError as error:
        raise ReadError(f"can't read {path}: {error.strerror}") from error


def in_order(taken: Iterable[Snapshot]) -> Iterator[Snapshot]:
    """Snapshots by their time, where none stands more than DISORDER places from its own."""
    waiting: list[tuple[float, int, Snapshot]] = []
    number = count()
    for snapshot in taken:
        heapq.heappush(waiting, (_time(snapshot), next(number), snapshot))
        if len(waiting) > DISORDER:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


def _time(taken: Snapshot) -> float:
    return taken.taken_at_s if math.isfinite(taken.taken_at_s) else -math.inf


def _files(path: str, span: Span) -> list[str]:
    if not is_directory(path):
        return [path]
    try:
        there = kept(path)
    except OSError as error:
        raise ReadError(f"can't read {path}: {error.strerror}") from error
    if not there:
        raise ReadError(f"{path}: it holds no recording; estab record --dir {path} makes one")
    return [os.path.join(path, segment.name) for segment in within(there, span.since_s, span.until_s)]


def _of(path: str, span: Span) -> Iterator[Snapshot]:
    for file in _files(path, span):
        for taken in decoded(_lines(file), file):
            if span.holds(taken.taken_at_s):
                yield taken


def decoded(lines: Iterable[bytes], file: str) -> Iterator[Snapshot]:
    """The snapshots that the lines of `file` hold. Raises ReadError with the line."""
    decoder = LineDecoder()
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield decoder.snapshot(line)
            except ReadError as error:
                raise ReadError(f"{file}, line {number}: {error}") from error


def _lines(file: str) -> Iterator[bytes]:
    try:
        with open(file, "rb") as opened:
            yield from lines(iter(lambda: opened.read(CHUNK), b""))
    except OSError as error:
        raise ReadError(f"can't read {file}: {error.strerror}") from error
    except EstabError as error:
        if str(error).startswith(file):
            raise
        raise type(error)(f"{file}: {error}") from error
