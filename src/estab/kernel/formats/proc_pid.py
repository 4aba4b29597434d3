"""The text of /proc/PID/limits, stat, status and schedstat; of a thread too, from /proc/PID/task/TID; of loadavg.

What lives here: what `proc_pid_limits`, `proc_pid_schedstat` (fs/proc/base.c), `do_task_stat`, `proc_pid_status`
(fs/proc/array.c) and `loadavg_proc_show` (fs/proc/loadavg.c) print.
"""

from __future__ import annotations

from estab.errors import ParseError
from estab.records import Record

_OPEN_FILES = b"Max open files"
_PROCESSES = b"Max processes"
# Fields of /proc/PID/stat counted from the one after the name (proc_pid_stat(5) numbers them from 3).
_STATE, _PARENT, _UTIME, _STIME, _START, _RSS = 0, 1, 11, 12, 19, 21


class OpenFiles(Record, frozen=True, kw_only=True):
    """RLIMIT_NOFILE of a process, in descriptors; None is unlimited."""

    soft: int | None
    hard: int | None


class ProcessStat(Record, frozen=True, kw_only=True):
    """A process: its name as the kernel keeps it (15 bytes), its parent, CPU seconds, resident pages.

    `state` is a letter: R, S, D, T (stopped), Z and others (proc_pid_stat(5)). `start_ticks` since boot tells a process
    from a later one with the same pid.
    """

    pid: int
    name: str
    state: str
    parent: int
    cpu_s: float
    start_ticks: int
    rss_pages: int


def parse_open_files(data: bytes) -> OpenFiles:
    """The `Max open files` line of /proc/PID/limits. Raises ParseError where it is missing or damaged."""
    soft, hard = _limits(data, _OPEN_FILES)
    return OpenFiles(soft=soft, hard=hard)


def parse_most_tasks(data: bytes) -> int | None:
    """RLIMIT_NPROC (soft), the `Max processes` line of /proc/PID/limits; None is unlimited. Raises ParseError."""
    return _limits(data, _PROCESSES)[0]


def _limits(data: bytes, name: bytes) -> tuple[int | None, int | None]:
    """The soft and the hard limit of a line."""
    offset = data.find(name)
    if offset < 0:
        raise ParseError(f"no {name.decode()!r} in limits")
    line = data[offset:].split(b"\n", 1)[0]
    words = line[len(name) :].split()
    if len(words) < 2:
        raise ParseError(f"{name.decode()!r} without two limits: {line[:60]!r}", offset)
    return _limit(words[0], offset), _limit(words[1], offset)


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
        state=fields[_STATE][:1].decode("ascii", "replace"),
        parent=_integer(fields[_PARENT], last),
        cpu_s=_seconds(ticks, ticks_per_s, last),
        start_ticks=_integer(fields[_START], last),
        rss_pages=_integer(fields[_RSS], last),
    )


class SchedStat(Record, frozen=True, kw_only=True):
    """How long a thread ran, and how long it could have run and waited for a core, in nanoseconds since it began."""

    ran_ns: int
    waited_ns: int


def parse_schedstat(data: bytes) -> SchedStat:
    """/proc/PID/task/TID/schedstat. Raises ParseError where it is not three numbers.

    Source: `proc_pid_schedstat` in fs/proc/base.c; 0 0 0 where the kernel does not count (no CONFIG_SCHED_INFO).
    """
    numbers = data.split()
    if len(numbers) != 3:
        raise ParseError(f"schedstat is not three numbers: {data[:40]!r}", 0)
    return SchedStat(ran_ns=_integer(numbers[0], 0), waited_ns=_integer(numbers[1], 0))


class TaskStatus(Record, frozen=True, kw_only=True):
    """Whose a process is (its real user id), how many threads it has, and its effective capabilities as bits."""

    uid: int
    threads: int
    capabilities: int


def parse_status(data: bytes) -> TaskStatus:
    """/proc/PID/status. Raises ParseError where one of its lines Uid, Threads and CapEff is missing or damaged."""
    lines = dict(line.split(b":", 1) for line in data.splitlines() if b":" in line)
    try:
        uid, threads, capabilities = (lines[name].split()[0] for name in (b"Uid", b"Threads", b"CapEff"))
    except (KeyError, IndexError) as error:
        raise ParseError("status without Uid, Threads or CapEff", 0) from error
    try:
        return TaskStatus(uid=_integer(uid, 0), threads=_integer(threads, 0), capabilities=int(capabilities, 16))
    except ValueError as error:
        raise ParseError(f"CapEff {capabilities[:40]!r} is not hexadecimal", 0) from error


def parse_all_tasks(data: bytes) -> int:
    """How many threads the whole host has, by /proc/loadavg. Raises ParseError."""
    words = data.split()
    if len(words) != 5 or b"/" not in words[3]:
        raise ParseError(f"not a line of loadavg: {data[:60]!r}", 0)
    return _integer(words[3].split(b"/")[1], 0)


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
