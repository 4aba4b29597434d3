"""Units, containers and pods by the path of a cgroup, as the runtimes name them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.kernel.formats.cgroup_names import CgroupNames, names

ID = "3f5a" * 16
UID = "0b7f3c52-6f0e-4d43-9a0e-2f6f1c9d7a11"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", CgroupNames()),
        ("/system.slice/nginx.service", CgroupNames(unit="nginx.service")),
        ("/system.slice/system-getty.slice/getty@tty1.service", CgroupNames(unit="getty@tty1.service")),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/web.service", CgroupNames(unit="web.service")),
        ("/user.slice/user-1000.slice/session-3.scope", CgroupNames(unit="session-3.scope")),
        (f"/system.slice/docker-{ID}.scope", CgroupNames(container_id=ID)),
        (f"/docker/{ID}", CgroupNames(container_id=ID)),
        (f"/machine.slice/libpod-{ID}.scope/container", CgroupNames(container_id=ID)),
        (
            f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice/"
            f"cri-containerd-{ID}.scope",
            CgroupNames(container_id=ID, pod_uid=UID),
        ),
        (f"/kubepods/besteffort/pod{UID}/{ID}", CgroupNames(container_id=ID, pod_uid=UID)),
        (
            f"/system.slice/containerd.service/kubepods-pod{UID.replace('-', '_')}.slice:cri-containerd:{ID}",
            CgroupNames(unit="containerd.service", container_id=ID, pod_uid=UID),
        ),
        ("/lxc.payload.web/system.slice/nginx.service", CgroupNames(unit="nginx.service", container="web")),
        ("/lxc/db", CgroupNames(container="db")),
    ],
)
def test_names(path: str, expected: CgroupNames) -> None:
    assert names(path) == expected


@given(st.text())
def test_any_path(path: str) -> None:
    assert isinstance(names(path), CgroupNames)
