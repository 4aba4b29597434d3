"""cgroups: which group a process is in, where the hierarchy is mounted, the limits of one group, and what they cost.

What lives here: /proc/PID/cgroup and /proc/PID/mountinfo (proc_pid_mountinfo(5)), and the files that
`Documentation/admin-guide/cgroup-v2.rst` and `Documentation/scheduler/sched-bwc.rst` (v1) name.
"""

from __future__ import annotations

from estab.errors import ParseError
from estab.kernel.formats import words
from estab.kernel.formats.mountinfo import mounts
from estab.records.base import Record

_NO_MEMORY_LIMIT = 1 << 62  # PAGE_COUNTER_MAX, include/linux/page_counter.h, as v1 prints it


class CpuStat(Record, frozen=True, kw_only=True):
    """How many periods of CPU bandwidth there were, how many were used up early, and for how long that stopped it."""

    periods: int
    throttled: int
    throttled_us: int


def v2_path(data: bytes) -> str | None:
    """The process's group in /proc/PID/cgroup, as `/system.slice/x.service`; None where it is in no v2 hierarchy.

    Raises ParseError where a line is not `id:controllers:path`.
    """
    return next((path for number, controllers, path in _groups(data) if number == b"0" and not controllers), None)


def v1_path(data: bytes, controller: str) -> str | None:
    """The process's group in /proc/PID/cgroup for a controller of cgroup v1; None where v1 does not have it.

    Raises ParseError where a line is not `id:controllers:path`.
    """
    wanted = controller.encode()
    return next((path for _, controllers, path in _groups(data) if wanted in controllers.split(b",")), None)


def _groups(data: bytes) -> list[tuple[bytes, bytes, str]]:
    offset, groups = 0, []
    for line in data.splitlines(keepends=True):
        parts = line.rstrip(b"\n").split(b":", 2)
        if len(parts) != 3 or not parts[2].startswith(b"/"):
            raise ParseError(f"not a line of /proc/PID/cgroup: {line[:40]!r}", offset)
        groups.append((parts[0], parts[1], parts[2].decode("utf-8", "surrogateescape")))
        offset += len(line)
    return groups


def v2_mount(data: bytes) -> tuple[str, str] | None:
    """Where /proc/PID/mountinfo says that cgroup2 is mounted: the mount point, and which group stands there.

    None where it is not mounted. Raises ParseError where a line has no separator or too few fields.
    """
    return next((place for kind, _, place in mounts(data) if kind == b"cgroup2"), None)


def v1_mount(data: bytes, controller: str) -> tuple[str, str] | None:
    """As `v2_mount`, for the hierarchy of cgroup v1 that has a controller."""
    wanted = controller.encode()
    return next((place for kind, options, place in mounts(data) if kind == b"cgroup" and wanted in options), None)


def limit(data: bytes) -> int | None:
    """`memory.max`, `pids.max`: a number, or `max`, which is None: no limit. Raises ParseError."""
    word = data.strip()
    return None if word == b"max" else words.decimal(word, 0)


def memory_limit(data: bytes) -> int | None:
    """`memory.max`, or `memory.limit_in_bytes` of v1, where as much as there are addresses is no limit: None."""
    most = limit(data)
    return None if most is None or most >= _NO_MEMORY_LIMIT else most


def cpu_cores(data: bytes) -> float | None:
    """`cpu.max` as cores: quota over period (microseconds); None: no limit. Raises ParseError."""
    parts = data.split()
    if len(parts) != 2:
        raise ParseError(f"cpu.max is not two words: {data[:40]!r}", 0)
    period = words.decimal(parts[1], 0)
    if period == 0:
        raise ParseError("cpu.max has a period of 0", 0)
    quota = limit(parts[0])
    return None if quota is None else quota / period


def quota_cores(quota_us: bytes, period_us: bytes) -> float | None:
    """`cpu.cfs_quota_us` over `cpu.cfs_period_us` of cgroup v1 as cores; None: no limit (-1). Raises ParseError."""
    if quota_us.strip().startswith(b"-"):
        return None
    period = words.decimal(period_us.strip(), 0)
    if period == 0:
        raise ParseError("cpu.cfs_period_us is 0", 0)
    return words.decimal(quota_us.strip(), 0) / period


def cpu_stat(data: bytes) -> CpuStat | None:
    """`cpu.stat` of v2 (`throttled_usec`) or v1 (`throttled_time`, in ns); None where no bandwidth is counted there.

    Raises ParseError where a line is not a name and a number.
    """
    values = counts(data)
    if "nr_throttled" not in values:
        return None
    us = values.get("throttled_usec", values.get("throttled_time", 0) // 1_000)
    return CpuStat(periods=values.get("nr_periods", 0), throttled=values["nr_throttled"], throttled_us=us)


def counts(data: bytes) -> dict[str, int]:
    """Names and numbers, a pair a line: `cpu.stat`, `pids.events`, `memory.events`, `memory.oom_control`.

    Raises ParseError where a line is none such.
    """
    values: dict[str, int] = {}
    for line in data.splitlines():
        name, _, number = line.partition(b" ")
        values[name.decode("ascii", "replace")] = words.decimal(number, 0)
    return values
