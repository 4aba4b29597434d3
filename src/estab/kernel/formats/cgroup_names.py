"""What a process's cgroup is called: its systemd unit, its container, its pod. Pure: a path in, names out.

Sources: systemd.unit(5) and `systemd-escape`; the runtimes' drivers name a container's group by its 64 hex digits:
`docker-ID.scope`, `cri-containerd-ID.scope`, `crio-ID.scope`, `libpod-ID.scope` (systemd driver), or the digits alone
(cgroupfs driver); Kubernetes puts them below `kubepods…/pod UID` (`pkg/kubelet/cm/cgroup_manager_linux.go`).
"""

from __future__ import annotations

import re

from estab.records.base import Record

_CONTAINER = re.compile(r"(?:^|[-:])(?P<id>[0-9a-f]{64})(?:\.scope)?$")
_LXC = re.compile(r"/lxc(?:\.payload)?[./](?P<name>[^/]+)")
_POD = re.compile(r"pod(?P<uid>[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")
_UNIT = re.compile(r"^[^/]+\.(?:service|scope)$")


class CgroupNames(Record, frozen=True, kw_only=True):
    """What people call it; None: it has none. `container` is the name of an LXC container; others have an id here."""

    unit: str | None = None
    container: str | None = None
    container_id: str | None = None
    pod_uid: str | None = None


def names(path: str) -> CgroupNames:
    """The names in a cgroup's path, as `/system.slice/nginx.service`; the innermost of each kind."""
    parts = path.split("/")
    container_id = next((match["id"] for part in reversed(parts) if (match := _CONTAINER.search(part))), None)
    lxc, pod = _LXC.search(path), _POD.search(path)
    unit = next((part for part in reversed(parts) if _UNIT.match(part) and not _CONTAINER.search(part)), None)
    return CgroupNames(
        unit=unit,
        container=lxc["name"] if lxc and container_id is None else None,
        container_id=container_id,
        pod_uid=pod["uid"].replace("_", "-") if pod else None,
    )
