"""Which processes own a socket, and what they have open: from /proc.

A process may vanish between any two reads; then it is simply not there. What may not be read is said to be hidden.
"""

from __future__ import annotations

import heapq
import os
from collections import Counter
from collections.abc import Collection, Iterable

from estab.errors import ParseError
from estab.kernel.formats import proc_pid
from estab.observe import cgroups, tasks
from estab.observe.process_names import service_of
from estab.records import LISTED_THREADS, Process, Record, Thread

MOST_THREADS_READ = 256
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Owners(Record, frozen=True, kw_only=True):
    """`by_inode` names the processes that hold each socket found; `hidden` is how many processes could not be read."""

    by_inode: dict[int, list[int]]
    hidden: int


def owners(inodes: Collection[int], pids: Iterable[int] | None = None) -> Owners:
    """The processes (of `pids`, or of all) that have a socket with one of `inodes` open, in one pass."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    by_inode: dict[int, list[int]] = {}
    hidden = 0
    for pid in (all_pids() if pids is None else pids) if wanted else ():
        try:
            held = _held(pid, wanted)
        except PermissionError:
            hidden += 1
            continue
        except OSError:
            continue
        for inode in held:
            by_inode.setdefault(inode, []).append(pid)
    return Owners(by_inode=by_inode, hidden=hidden)


def _held(pid: int, wanted: dict[str, int]) -> set[int]:
    """Those of `wanted` (link text to inode) that a process has open. Raises OSError."""
    held: set[int] = set()
    directory = os.open(f"/proc/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    inode = wanted.get(os.readlink(entry.name, dir_fd=directory))
                except FileNotFoundError:
                    continue
                if inode is not None:
                    held.add(inode)
                    # A server opens its listeners first: its thousands of connections need not be read.
                    if len(held) == len(wanted):
                        break
    finally:
        os.close(directory)
    return held


def all_pids() -> list[int]:
    """Every process that this pid namespace shows."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def fd_count(pid: int) -> int | None:
    """How many descriptors a process has open; None where it is gone or may not be read.

    Since 6.2 the kernel gives the count as the size of /proc/PID/fd (`proc_fd_getattr` in fs/proc/fd.c); before, the
    size is 0 and the entries are counted; one of this process's own is then the listing's.
    """
    path = f"/proc/{pid}/fd"
    try:
        return os.stat(path).st_size or len(os.listdir(path)) - (pid == os.getpid())
    except OSError:
        return None


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it has not ended; one that nobody has waited for yet has."""
    stat = _stat(pid)
    return stat is not None and stat.state not in "ZX"


def process(pid: int, *, closely: bool = False) -> Process | None:
    """What a process is and holds; None where it is gone. What may not be read of it is None.

    `closely`: with its threads, its cgroup's CPU and its limits of tasks, which costs two small files for each thread.
    """
    stat = _stat(pid)
    if stat is None:
        return None
    limits = _open_files(pid)
    seen = Process(
        pid=pid,
        name=stat.name,
        fds=fd_count(pid),
        nofile_soft=limits.soft if limits else None,
        nofile_hard=limits.hard if limits else None,
        cpu_s=stat.cpu_s,
        rss_bytes=stat.rss_pages * _PAGE_BYTES,
        started_ticks=stat.start_ticks,
        service=service_of(pid, stat.start_ticks),
    )
    if not closely:
        return seen
    running = threads(pid)
    busiest = heapq.nlargest(LISTED_THREADS, running, key=lambda thread: thread.ran_ns)
    return seen.replace(
        thread_states=dict(Counter(thread.state for thread in running)) or None,
        threads=busiest or None,
        cgroup_cpu=cgroups.cpu_of(pid),
        tasks=tasks.of(pid),
    )


def threads(pid: int) -> list[Thread]:
    """The threads of a process, up to 256 of them, the oldest first; none where it is gone or may not be read."""
    return [thread for tid in _tids(pid) if (thread := _thread(pid, tid)) is not None]


def thread_times(pid: int) -> dict[int, proc_pid.SchedStat]:
    """How long each of these threads ran and waited for a core since it began, by its number."""
    times = {}
    for tid in _tids(pid):
        try:
            times[tid] = proc_pid.parse_schedstat(_read(f"/proc/{pid}/task/{tid}/schedstat"))
        except (OSError, ParseError):
            continue
    return times


def _tids(pid: int) -> list[int]:
    try:
        return sorted(int(name) for name in os.listdir(f"/proc/{pid}/task"))[:MOST_THREADS_READ]
    except OSError:
        return []


def waited_ns(pid: int) -> int | None:
    """How long the first thread of a process could have run and waited for a core so far; None where it is gone."""
    try:
        return proc_pid.parse_schedstat(_read(f"/proc/{pid}/task/{pid}/schedstat")).waited_ns
    except (OSError, ParseError):
        return None


def _thread(pid: int, tid: int) -> Thread | None:
    directory = f"/proc/{pid}/task/{tid}"
    try:
        stat = proc_pid.parse_stat(_read(f"{directory}/stat"), _TICKS_PER_S)
        times = proc_pid.parse_schedstat(_read(f"{directory}/schedstat"))
    except (OSError, ParseError):
        return None
    return Thread(tid=tid, state=stat.state, ran_ns=times.ran_ns, waited_ns=times.waited_ns)


def _stat(pid: int) -> proc_pid.ProcessStat | None:
    try:
        return proc_pid.parse_stat(_read(f"/proc/{pid}/stat"), _TICKS_PER_S)
    except (OSError, ParseError):
        return None


def _open_files(pid: int) -> proc_pid.OpenFiles | None:
    try:
        return proc_pid.parse_open_files(_read(f"/proc/{pid}/limits"))
    except (OSError, ParseError):
        return None


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
