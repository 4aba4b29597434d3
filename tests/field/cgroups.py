"""Cgroups of a situation's own: a CPU quota, a limit of tasks. cgroup v1 or v2, whichever has the controller here."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from estab.kernel.formats import cgroup
from estab.observe.cgroups import read

_PERIOD_US = 100_000
_EMPTY_WITHIN_S = 5.0
_COUNTED = ("cpu.stat", "pids.events")


def with_quota(cores: float) -> Path:
    """A new cgroup that may use so many cores. Raises OSError where this machine lets none be made."""
    quota_us = round(cores * _PERIOD_US)
    return _made("cpu", {"cpu.cfs_quota_us": str(quota_us)}, {"cpu.max": f"{quota_us} {_PERIOD_US}"})


def with_tasks(most: int) -> Path:
    """A new cgroup that may have so many processes and threads. Raises OSError."""
    return _made("pids", {"pids.max": str(most)}, {"pids.max": str(most)})


def _made(controller: str, v1: Mapping[str, str], v2: Mapping[str, str]) -> Path:
    mounts = Path("/proc/self/mountinfo").read_bytes()
    mount = cgroup.v1_mount(mounts, controller)
    mount, limits = (mount, v1) if mount is not None else (cgroup.v2_mount(mounts), v2)
    if mount is None:
        raise OSError(f"no cgroup hierarchy with {controller} is mounted here")
    group = Path(tempfile.mkdtemp(prefix="estab-field-", dir=mount[0]))
    try:
        for name, text in limits.items():
            (group / name).write_text(text, encoding="ascii")
    except OSError:
        group.rmdir()
        raise
    return group


def entering(groups: list[Path]) -> list[str]:
    """What stands before a command line, so that it runs in these."""
    words = []
    for group in groups:
        words += ["sh", "-c", 'echo 0 >"$0" && exec "$@"', str(group / "cgroup.procs")]
    return words


def counts(groups: list[Path]) -> dict[str, int]:
    """What the kernel counted of them so far, as nr_throttled, and `max` of pids.events."""
    found: dict[str, int] = {}
    for data in (read(str(group), name) for group in groups for name in _COUNTED):
        found |= cgroup.counts(data) if data is not None else {}
    return found


def remove(group: Path) -> None:
    """Ends what still runs in it, and removes it."""
    deadline = time.monotonic() + _EMPTY_WITHIN_S
    while pids := [int(word) for word in (group / "cgroup.procs").read_text(encoding="ascii").split()]:
        if time.monotonic() > deadline:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)
    group.rmdir()
