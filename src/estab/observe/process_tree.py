"""A process and all that descend from it, whoever started them.

Source: /proc/PID/task/TID/children (proc_pid_children(5), CONFIG_PROC_CHILDREN); where a kernel has none, the parent in
each process's stat. A process whose parent died belongs to the nearest subreaper above (PR_SET_CHILD_SUBREAPER,
prctl(2)): where that is this process, what was started twice removed (a double fork) is still its descendant.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Collection

from estab.errors import ParseError
from estab.kernel.formats import proc_pid

_PR_SET_CHILD_SUBREAPER = 36
_HAVE_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")
MOST = 4096


def become_subreaper() -> None:
    """From now on orphans among this process's descendants become its children. It stays so."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(roots: Collection[int], *, without: Collection[int] = ()) -> list[int]:
    """`roots` and what descends from them, at most 4,096; not those `without`, nor what descends from these alone.

    What ends meanwhile may be missing, and what it started is then found at the next look.
    """
    children = _children if _HAVE_CHILDREN else _by_parent().get
    found: dict[int, None] = dict.fromkeys(pid for pid in roots if pid not in without)
    pending = list(found)
    while pending and len(found) < MOST:
        for child in children(pending.pop()) or ():
            if child not in found and child not in without:
                found[child] = None
                pending.append(child)
    return list(found)


def reap(children: Collection[int]) -> None:
    """Take note of those that have ended: an orphan that this process was given has nobody else to do so."""
    for pid in children:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def children_of_this() -> set[int]:
    """The children that this process has now, orphans that it was given among them."""
    return set(_children(os.getpid()))


def tasks(pids: Collection[int]) -> list[int]:
    """The threads of these processes."""
    found: list[int] = []
    for pid in pids:
        with contextlib.suppress(OSError):
            found += map(int, os.listdir(f"/proc/{pid}/task"))
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for tid in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{tid}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        pass
    return found


def _by_parent() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    found.setdefault(proc_pid.parse_stat(file.read(), 100).parent, []).append(int(name))
            except (OSError, ParseError):
                continue
    return found
