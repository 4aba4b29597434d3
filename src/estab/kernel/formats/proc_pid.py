"""The text of /proc/PID/limits and /proc/PID/stat.

What lives here: what `proc_pid_limits` (fs/proc/base.c) and `do_task_stat` (fs/proc/array.c) print.
"""

from __future__ import annotations

from estab.errors import ParseError
from estab.records import Record

_OPEN_FILES = b"Max open files"
# Fields of /proc/PID/stat counted from the one after the name (proc_pid_stat(5) numbers them from 3).
_UTIME, _STIME, _START, _RSS = 11, 12, 19, 21


class OpenFiles(Record, frozen=True, kw_only=True):
    """RLIMIT_NOFILE of a process, in descriptors; None is unlimited."""

    soft: int | None
    hard: int | None


class ProcessStat(Record, frozen=True, kw_only=True):
    """A process: its name as the kernel keeps it (15 bytes), CPU seconds in user and kernel, resident pages.

    `start_ticks` since boot tells a process from a later one with the same pid.
    """

    pid: int
    name: str
    cpu_s: float
    start_ticks: int
    rss_pages: int


def parse_open_files(data: bytes) -> OpenFiles:
    """The `Max open files` line of /proc/PID/limits. Raises ParseError where it is missing or damaged."""
    offset = data.find(_OPEN_FILES)
    if offset < 0:
        raise ParseError("no 'Max open files' in limits")
    line = data[offset:].split(b"\n", 1)[0]
    words = line[len(_OPEN_FILES) :].split()
    if len(words) < 2:
        raise ParseError(f"'Max open files' without two limits: {line[:60]!r}", offset)
    return OpenFiles(soft=_limit(words[0], offset), hard=_limit(words[1], offset))


def _limit(word: bytes, offset: int) -> int | None:
    if word == b"unlimited":
        return None
    if not word.isdigit():
        raise ParseError(f"limit {word[:40]!r} is neither a number nor 'unlimited'", offset)
    return _integer(word, offset)


def parse_stat(data: bytes, ticks_per_s: int) -> ProcessStat:
    """/proc/PID/stat; `ticks_per_s` is the host's USER_HZ (sysconf _SC_CLK_TCK, 100 nearly everywhere).

    The name stands in parentheses and may itself hold spaces and parentheses: it ends at the last one.
    Raises ParseError where a field is missing or no integer.
    """
    first, last = data.find(b"("), data.rfind(b")")
    if first < 0 or last < first:
        raise ParseError("no name in parentheses in stat", 0)
    if ticks_per_s <= 0:
        raise ParseError(f"{ticks_per_s} ticks per second")
    fields = data[last + 1 :].split()
    if len(fields) <= _RSS:
        raise ParseError(f"stat has {len(fields)} fields behind the name, expected more than {_RSS}", last)
    ticks = _integer(fields[_UTIME], last) + _integer(fields[_STIME], last)
    return ProcessStat(
        pid=_integer(data[:first], 0),
        name=data[first + 1 : last].decode("utf-8", "replace"),
        cpu_s=_seconds(ticks, ticks_per_s, last),
        start_ticks=_integer(fields[_START], last),
        rss_pages=_integer(fields[_RSS], last),
    )


def _integer(word: bytes, offset: int) -> int:
    try:
        return int(word)
    except ValueError as error:
        raise ParseError(f"not an integer: {word[:40]!r}", offset) from error


def _seconds(ticks: int, ticks_per_s: int, offset: int) -> float:
    try:
        return ticks / ticks_per_s
    except OverflowError as error:
        raise ParseError("CPU time is beyond any clock", offset) from error
