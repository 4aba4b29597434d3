"""What the cgroups of some processes did to them while they were watched: CPU quota, limits of processes and memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from estab.errors import EstabError
from estab.kernel.formats import cgroup
from estab.observe import cgroups, tasks
from estab.records import ProgramCgroup, Record

_MOST_GROUPS = 8


class _Limit(Record, frozen=True, kw_only=True):
    """A limit and how often it was met; of v2 or v1, whichever the group has."""

    limit: int | None = None
    met: int | None = None


class CgroupWatch:
    """`see` the processes now and then; `worst` tells of the group that did most to its own."""

    def __init__(self, read: Callable[[int], ProgramCgroup | None] | None = None) -> None:
        self._read = read or _totals
        self._first: dict[str, ProgramCgroup] = {}
        self._last: dict[str, ProgramCgroup] = {}

    def see(self, pids: Iterable[int]) -> None:
        """Look at the groups of these processes, of up to eight."""
        paths: set[str | None] = set()
        for pid in pids:
            path = cgroups.path_of(pid)
            if path in paths:
                continue
            paths.add(path)
            if path is None or (path not in self._first and len(self._first) >= _MOST_GROUPS):
                continue
            if (seen := self._read(pid)) is not None:
                self._first.setdefault(path, seen)
                self._last[path] = seen

    def worst(self) -> ProgramCgroup | None:
        """What happened since the first look, of the group whose processes it was worst for. None: none was seen."""
        since = [_since(self._first[path], last) for path, last in self._last.items()]
        return max(since, key=_harm, default=None)


def _harm(of: ProgramCgroup) -> tuple[int, int, int]:
    return of.oom_kills or 0, of.pids_refused or 0, of.throttled_us or 0


def _since(first: ProgramCgroup, last: ProgramCgroup) -> ProgramCgroup:
    def rose(name: str) -> int | None:
        then, now = getattr(first, name), getattr(last, name)
        return None if then is None or now is None else max(0, now - then)

    counts = ("periods", "throttled", "throttled_us", "pids_refused", "oom_kills")
    return last.replace(**{name: rose(name) for name in counts})


def _totals(pid: int) -> ProgramCgroup | None:
    """Of one process's groups: limits, and what they did since they were made. None: it is gone, or has no limit."""
    try:
        own, mounts = Path(f"/proc/{pid}/cgroup").read_bytes(), Path("/proc/self/mountinfo").read_bytes()
        pids = tasks.in_cgroup(pid)
        memory = _narrowest(cgroups.groups_with(own, mounts, "memory"), _memory)
    except (OSError, EstabError):
        return None
    cpu = cgroups.cpu_of(pid)
    if (cpu is None or cpu.cores is None) and pids is None and memory is None:
        return None
    return ProgramCgroup(
        cores=cpu.cores if cpu else None,
        periods=cpu.periods if cpu else None,
        throttled=cpu.throttled if cpu else None,
        throttled_us=cpu.throttled_us if cpu else None,
        pids_max=pids.cgroup_most if pids else None,
        pids_refused=pids.refused if pids else None,
        memory_max_bytes=memory.limit if memory else None,
        oom_kills=memory.met if memory else None,
    )


def _narrowest(groups: Iterable[str], read: Callable[[str], _Limit]) -> _Limit | None:
    """The least limit on the way to the root. None: there is none."""
    limits = [limit for limit in map(read, groups) if limit.limit is not None]
    return min(limits, key=lambda limit: limit.limit or 0, default=None)


def _memory(group: str) -> _Limit:
    most, events = cgroups.read(group, "memory.max"), cgroups.read(group, "memory.events")
    if most is None:
        most, events = cgroups.read(group, "memory.limit_in_bytes"), cgroups.read(group, "memory.oom_control")
    return _Limit(
        limit=cgroup.memory_limit(most) if most else None,
        met=cgroup.counts(events).get("oom_kill") if events else None,
    )
