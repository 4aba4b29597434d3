"""What people call a process: its command line and user; its service: systemd unit, container, pod."""

from __future__ import annotations

import os
import pwd
import time
from functools import lru_cache
from pathlib import Path

from estab.errors import EstabError
from estab.kernel.formats import cgroup
from estab.kernel.formats.cgroup_names import CgroupNames, names
from estab.observe.containers import ContainerNames, container_names
from estab.records import ServiceName
from estab.records.base import Record

_REMEMBERED_S = 60.0


class ProcessNames(Record, frozen=True, kw_only=True):
    """None: there is none, or this user can't read it. A command line may hold secrets: it is shown, never recorded."""

    command_line: str | None = None
    user: str | None = None
    service: ServiceName | None = None


def process_names(pid: int) -> ProcessNames:
    """The names of a running process. All None where it is gone.

    Source: /proc/PID/cmdline, whose words end in NUL; the owner of /proc/PID; /proc/PID/cgroup (proc_pid_cgroup(5)).
    """
    return ProcessNames(command_line=_command_line(pid), user=_user(pid), service=service_of(pid))


def service_of(pid: int, started_ticks: int | None = None) -> ServiceName | None:
    """What a process belongs to; None where that is nothing that has a name, or it is gone.

    It is remembered for a minute: with `started_ticks`, of that very process.
    """
    return _service(pid, started_ticks, int(time.monotonic() // _REMEMBERED_S))


@lru_cache(maxsize=4096)
def _service(pid: int, _started_ticks: int | None, minute: int) -> ServiceName | None:
    called = names(_cgroup(pid) or "/")
    if called == CgroupNames():
        return None
    told = _told(called.container_id, called.pod_uid, minute)
    return ServiceName(
        unit=called.unit,
        container=called.container or told.container,
        container_id=called.container_id,
        pod=told.pod,
        pod_uid=called.pod_uid,
    )


@lru_cache(maxsize=1024)
def _told(container_id: str | None, pod_uid: str | None, _minute: int) -> ContainerNames:
    """Asked once for all processes of a container."""
    return container_names(container_id, pod_uid)


def _command_line(pid: int) -> str | None:
    try:
        data = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    return data.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace") or None


def _user(pid: int) -> str | None:
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _cgroup(pid: int) -> str | None:
    """Its group in v2; where that is the root or not there, in the hierarchy of systemd or of pids (v1)."""
    try:
        data = Path(f"/proc/{pid}/cgroup").read_bytes()
        paths = (cgroup.v2_path(data), cgroup.v1_path(data, "name=systemd"), cgroup.v1_path(data, "pids"))
    except (OSError, EstabError):
        return None
    return next((path for path in paths if path not in (None, "/")), None)
