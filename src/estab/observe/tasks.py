"""How many processes and threads (tasks) there are against the limits that hold for a process.

pids.max is a cgroup's (`pids_can_fork`, kernel/cgroup/pids.c), which counts what it refuses. RLIMIT_NPROC counts the
tasks of a user in a user namespace (`is_rlimit_overlimit`, kernel/ucount.c); who is exempt: `copy_process`,
kernel/fork.c. Nothing counts what that refuses.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from estab.errors import EstabError
from estab.kernel.formats import cgroup, proc_pid
from estab.observe import cgroups
from estab.records import Tasks

_EXEMPT = 1 << 24 | 1 << 21  # CAP_SYS_RESOURCE, CAP_SYS_ADMIN (include/uapi/linux/capability.h)
_ALL_IDS = [b"0", b"0", b"4294967295"]  # the uid_map of the initial user namespace


@dataclass(frozen=True)
class TaskLimits:
    """The limits of a process. `groups`: its cgroups from its own to the one with the narrowest pids.max, `most`.

    `user`: the user and the user namespace whose tasks count against `user_most`.
    """

    groups: tuple[str, ...] = ()
    most: int | None = None
    user: tuple[int, str] | None = None
    user_most: int | None = None


def limits_of(pid: int) -> TaskLimits | None:
    """Those of a process; None where it is gone, or may not be read."""
    try:
        groups, most = _narrowest(_groups(pid))
        user, user_most = _of_user(pid)
    except (OSError, EstabError):
        return None
    return TaskLimits(groups, most, user, user_most)


def counted(limits: TaskLimits) -> Tasks | None:
    """How many tasks count against them now; None where no limit holds."""
    if limits.most is None and limits.user_most is None:
        return None
    return Tasks(
        cgroup=limits.groups[-1] if limits.groups else None,
        cgroup_most=limits.most,
        in_cgroup=_number(limits.groups[-1], "pids.current") if limits.groups else None,
        refused=max((_refused(group) for group in limits.groups), default=None),
        user_most=limits.user_most,
        of_user=_tasks_of(limits.user, limits.user_most),
    )


def in_cgroup(pid: int) -> Tasks | None:
    """`counted` against its cgroup's limit alone. Raises OSError, ParseError."""
    groups, most = _narrowest(_groups(pid))
    return counted(TaskLimits(groups, most))


def of(pid: int) -> Tasks | None:
    """`counted` of one process, with its limits as they are now."""
    limits = limits_of(pid)
    return counted(limits) if limits is not None else None


def most(earlier: Tasks | None, later: Tasks | None) -> Tasks | None:
    """The later of two looks at the same process, with the greater counts of both."""
    if earlier is None or later is None:
        return later or earlier
    in_cgroup, of_user = (
        max((count for count in counts if count is not None), default=None)
        for counts in ((earlier.in_cgroup, later.in_cgroup), (earlier.of_user, later.of_user))
    )
    return later.replace(in_cgroup=in_cgroup, of_user=of_user)


# A cgroup ----------------------------------------------------------------------------------------------------------


def _groups(pid: int) -> tuple[str, ...]:
    own, mounts = Path(f"/proc/{pid}/cgroup").read_bytes(), Path("/proc/self/mountinfo").read_bytes()
    return cgroups.groups_with(own, mounts, "pids")


def _narrowest(groups: tuple[str, ...]) -> tuple[tuple[str, ...], int | None]:
    """The groups up to the one with the least pids.max, and that; none where none has one."""
    limits = [(limit, place) for place, group in enumerate(groups) if (limit := _limit(group)) is not None]
    if not limits:
        return (), None
    least, place = min(limits)
    return groups[: place + 1], least


def _limit(group: str) -> int | None:
    data = cgroups.read(group, "pids.max")
    return cgroup.limit(data) if data is not None else None


def _number(group: str, name: str) -> int | None:
    data = cgroups.read(group, name)
    return int(data) if data is not None and data.strip().isdigit() else None


def _refused(group: str) -> int:
    """How often one was refused. Before Linux 6.12 the group of who asked counts it, since then that of the limit."""
    data = cgroups.read(group, "pids.events")
    try:
        return cgroup.counts(data).get("max", 0) if data is not None else 0
    except EstabError:
        return 0


# A user ------------------------------------------------------------------------------------------------------------


def _of_user(pid: int) -> tuple[tuple[int, str] | None, int | None]:
    """Whose tasks count against its RLIMIT_NPROC, and that; both None where none holds. Raises OSError, ParseError."""
    limit = proc_pid.parse_most_tasks(_read(pid, "limits"))
    status = proc_pid.parse_status(_read(pid, "status"))
    initial = _initial(pid)
    if limit is None or (initial and (status.uid == 0 or status.capabilities & _EXEMPT)):
        return None, None
    return (status.uid, _user_namespace(pid)), limit


def _tasks_of(user: tuple[int, str] | None, limit: int | None) -> int | None:
    """How many tasks a user has; None where the whole host has fewer than `limit`, so that it is not met."""
    try:
        if user is None or limit is None or proc_pid.parse_all_tasks(Path("/proc/loadavg").read_bytes()) < limit:
            return None
        return sum(_threads(user, int(name)) for name in os.listdir("/proc") if name.isdigit())
    except (OSError, EstabError):
        return None


def _threads(user: tuple[int, str], pid: int) -> int:
    """The threads of a process, where it is that user's; 0 where it is another's, gone, or may not be read."""
    try:
        status = proc_pid.parse_status(_read(pid, "status"))
        return status.threads if (status.uid, _user_namespace(pid)) == user else 0
    except (OSError, EstabError):
        return 0


def _initial(pid: int) -> bool:
    """Whether it is in the initial user namespace, the only one of a kernel without them."""
    try:
        return _read(pid, "uid_map").split() == _ALL_IDS
    except FileNotFoundError:
        return True


def _user_namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/user")
    except FileNotFoundError:
        return ""


def _read(pid: int, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()


class TaskWatch:
    """The most tasks that count against the limits of some processes, look by look. Limits are read once for each."""

    def __init__(self) -> None:
        self._limits: dict[int, TaskLimits | None] = {}
        self._most: dict[int, Tasks | None] = {}

    def look(self, pids: Iterable[int]) -> None:
        """Counts for each; those with the same limits share one count."""
        now: dict[TaskLimits, Tasks | None] = {}
        for pid in pids:
            if pid not in self._limits:
                self._limits[pid] = limits_of(pid)
            if (limits := self._limits[pid]) is None:
                continue
            if limits not in now:
                now[limits] = counted(limits)
            self._most[pid] = most(self._most.get(pid), now[limits])

    def of(self, pid: int) -> Tasks | None:
        """The most of one process so far."""
        return self._most.get(pid)
