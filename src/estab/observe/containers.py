"""What people call a container and its pod: from what the runtimes and the kubelet keep in files.

Nothing is asked of a daemon. Where a file may not be read, or is damaged, there is no name. Sources, below /:

- kubelet: `var/log/containers/POD_NAMESPACE_CONTAINER-ID.log` (`logSymlink` in
  pkg/kubelet/kuberuntime/legacy.go) and `var/log/pods/NAMESPACE_POD_UID` (`BuildPodLogsDirectory`)
- containerd: `run/containerd/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json`, annotations of the OCI
  runtime specification (`io.kubernetes.cri.*`; nerdctl's own)
- docker: `var/lib/docker/containers/ID/config.v2.json`
- podman and CRI-O: `containers.json` and `volatile-containers.json` of containers/storage
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from estab.records.base import Record

_STORAGES = ("overlay", "vfs", "btrfs", "zfs")
_MOST_BYTES = 8 << 20


class ContainerNames(Record, frozen=True, kw_only=True):
    """`container` as its user named it; `pod` as NAMESPACE/NAME. None: not told anywhere that may be read."""

    container: str | None = None
    pod: str | None = None


def container_names(container_id: str | None, pod_uid: str | None = None, *, root: str = "/") -> ContainerNames:
    """The names of the container with this whole id, and of the pod with this uid."""
    told = ContainerNames()
    for read in (_kubelet, _containerd, _docker, _storage) if container_id else ():
        told = _joined(told, read(Path(root), container_id or ""))
        if told.container and told.pod:
            break
    return told if told.pod or not pod_uid else told.replace(pod=_pod(Path(root), pod_uid))


def _joined(first: ContainerNames, second: ContainerNames) -> ContainerNames:
    return ContainerNames(container=first.container or second.container, pod=first.pod or second.pod)


def _kubelet(root: Path, container_id: str) -> ContainerNames:
    end = f"-{container_id}.log"
    name = next((name for name in _listed(root / "var/log/containers") if name.endswith(end)), "")
    match name.removesuffix(end).split("_"):
        case [pod, namespace, container]:
            return ContainerNames(container=container, pod=f"{namespace}/{pod}")
    return ContainerNames()


def _pod(root: Path, uid: str) -> str | None:
    for name in _listed(root / "var/log/pods"):
        match name.split("_"):
            case [namespace, pod, of] if of == uid:
                return f"{namespace}/{pod}"
    return None


def _containerd(root: Path, container_id: str) -> ContainerNames:
    tasks = root / "run/containerd/io.containerd.runtime.v2.task"
    for namespace in _listed(tasks):
        annotations = _get(_json(tasks / namespace / container_id / "config.json"), "annotations")
        container = _text(annotations, "io.kubernetes.cri.container-name") or _text(annotations, "nerdctl/name")
        pod, space = (_text(annotations, f"io.kubernetes.cri.sandbox-{which}") for which in ("name", "namespace"))
        if container or pod:
            return ContainerNames(container=container, pod=f"{space}/{pod}" if space and pod else pod)
    return ContainerNames()


def _docker(root: Path, container_id: str) -> ContainerNames:
    name = _text(_json(root / "var/lib/docker/containers" / container_id / "config.v2.json"), "Name")
    return _named(name.removeprefix("/")) if name else ContainerNames()


def _storage(root: Path, container_id: str) -> ContainerNames:
    for below in ("var/lib/containers/storage", "run/containers/storage"):
        for driver in _STORAGES:
            for file in ("containers.json", "volatile-containers.json"):
                for entry in _entries(_json(root / below / f"{driver}-containers" / file)):
                    names = _get(entry, "names")
                    if _text(entry, "id") == container_id and isinstance(names, list) and names:
                        return _named(str(names[0]))
    return ContainerNames()


def _named(name: str) -> ContainerNames:
    """A container's name; of Kubernetes it is k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT (dockershim, CRI-O)."""
    match name.split("_"):
        case ["k8s", container, pod, namespace, _uid, *_attempt]:
            return ContainerNames(container=container, pod=f"{namespace}/{pod}")
    return ContainerNames(container=name)


def _listed(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _json(file: Path) -> Any:
    try:
        with open(file, "rb") as opened:
            return json.loads(opened.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None


def _entries(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else ()


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _text(value: Any, key: str) -> str | None:
    text = _get(value, key)
    return text if isinstance(text, str) and text else None
