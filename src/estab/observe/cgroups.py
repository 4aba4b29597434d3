"""What cgroups allow: this process's limits (v2), and the CPU of any process (v1 and v2)."""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from estab.errors import EstabError
from estab.kernel.formats import cgroup, words
from estab.observe.gaps import Gaps
from estab.records import CgroupCpu, CgroupLimits

T = TypeVar("T")


def own_limits(gaps: Gaps) -> CgroupLimits | None:
    """This process's cgroup v2 limits, each the narrowest on the way to the root; None where there is no v2."""
    path = gaps.read("cgroup", lambda: cgroup.v2_path(Path("/proc/self/cgroup").read_bytes()))
    mount = gaps.read("cgroup", lambda: cgroup.v2_mount(Path("/proc/self/mountinfo").read_bytes()))
    if path is None or mount is None:
        gaps.note("cgroup", "this process is in no cgroup v2 hierarchy, or none is mounted here; v1 is not read")
        return None
    groups = _way_to_root(path, *mount)
    memory = _narrowest(groups, "memory.max", cgroup.limit, gaps)
    pids = _narrowest(groups, "pids.max", cgroup.limit, gaps)
    cpu = _narrowest(groups, "cpu.max", cgroup.cpu_cores, gaps)
    return CgroupLimits(
        path=path,
        memory_max_bytes=memory[1] if memory else None,
        memory_current_bytes=_current(memory[0], "memory.current", gaps) if memory else None,
        pids_max=pids[1] if pids else None,
        pids_current=_current(pids[0], "pids.current", gaps) if pids else None,
        cpu_max_cores=cpu[1] if cpu else None,
    )


def _way_to_root(path: str, mount_point: str, root: str) -> list[str]:
    """The directories of a group and of all above it that are visible below the mount point, narrow to wide."""
    inside = posixpath.relpath(path, root) if root != "/" else path.lstrip("/")
    # A group beside what is mounted here (a container's view of its host's) shows as `../…`: only the mount is ours.
    parts = [] if inside.startswith("..") else [part for part in inside.split("/") if part not in ("", ".")]
    return [posixpath.join(mount_point, *parts[:count]) for count in range(len(parts), -1, -1)]


def _narrowest(groups: list[str], name: str, parse: Callable[[bytes], T | None], gaps: Gaps) -> tuple[str, T] | None:
    """The least limit of this name and the group that has it. The root group has none of these files."""
    limits: list[tuple[T, str]] = []
    seen = False
    for group in groups:
        path = Path(group, name)
        if not path.exists():
            continue
        seen = True
        value = gaps.read(f"cgroup.{name}", lambda path=path: parse(path.read_bytes()))  # type: ignore[misc]
        if value is not None:
            limits.append((value, group))
    if not seen:
        gaps.note(f"cgroup.{name}", f"no group on the way to the root has {name}: its controller is not in cgroup v2")
    if not limits:
        return None
    value, group = min(limits)
    return group, value


def _current(group: str, name: str, gaps: Gaps) -> int | None:
    return gaps.read(f"cgroup.{name}", lambda: words.decimal(Path(group, name).read_bytes().strip()))


def cpu_of(pid: int) -> CgroupCpu | None:
    """What CPU a process's cgroup may use, and how often that stopped it; None where no group says so."""
    try:
        own, mounts = Path(f"/proc/{pid}/cgroup").read_bytes(), Path("/proc/self/mountinfo").read_bytes()
        counted = [group for group in map(_cpu, groups_with(own, mounts, "cpu")) if group is not None]
    except (OSError, EstabError):
        return None
    return min(counted, key=lambda group: (-(group.throttled_us or 0), group.cores or float("inf")), default=None)


def path_of(pid: int) -> str | None:
    """All of a process's groups, as /proc/PID/cgroup lists them; None where it is gone."""
    data = read(f"/proc/{pid}", "cgroup")
    return None if data is None else data.decode("utf-8", "surrogateescape")


@functools.lru_cache(maxsize=256)
def groups_with(own: bytes, mounts: bytes, controller: str) -> tuple[str, ...]:
    """The directories of the hierarchy in which a controller's limits hold for the process, narrow to wide.

    `own` is its /proc/PID/cgroup, `mounts` a /proc/PID/mountinfo.
    """
    path, mount = cgroup.v1_path(own, controller), cgroup.v1_mount(mounts, controller)
    if path is None or mount is None:
        path, mount = cgroup.v2_path(own), cgroup.v2_mount(mounts)
    return tuple(_way_to_root(path, *mount)) if path is not None and mount is not None else ()


def _cpu(group: str) -> CgroupCpu | None:
    """One group's CPU; None where none is counted there, as in a root."""
    stat = read(group, "cpu.stat")
    counted = cgroup.cpu_stat(stat) if stat is not None else None
    quota, period = read(group, "cpu.cfs_quota_us"), read(group, "cpu.cfs_period_us")
    most = read(group, "cpu.max")
    if counted is None:
        return None
    cores = None
    if quota is not None and period is not None:
        cores = cgroup.quota_cores(quota, period)
    elif most is not None:
        cores = cgroup.cpu_cores(most)
    return CgroupCpu(
        path=group,
        cores=cores,
        periods=counted.periods,
        throttled=counted.throttled,
        throttled_us=counted.throttled_us,
    )


def read(group: str, name: str) -> bytes | None:
    """One of a group's files; None where it has none of the name, or is gone."""
    try:
        return Path(group, name).read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
