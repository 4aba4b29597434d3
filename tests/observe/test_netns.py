"""Network namespaces found: by a process, by a file that a runtime bound, and what each is called."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.terminal import ESTAB
from tests.namespaces import until

from estab.errors import UsageError
from estab.observe import containers, netns, process_names
from estab.records import ServiceName

ID, UID = "3f5a" * 16, "0b7f3c52-6f0e-4d43-9a0e-2f6f1c9d7a11"
WEB = ServiceName(container="web", container_id=ID)
POD = ServiceName(container="nginx", container_id=ID, pod="shop/web-0", pod_uid=UID)


OWN = [] if os.geteuid() == 0 else ["--map-root-user"]


def called(service: ServiceName, monkeypatch: pytest.MonkeyPatch, check: Callable[[int], None]) -> None:
    """Runs `check` while a process with a namespace of its own belongs to this service."""
    with subprocess.Popen(["unshare", "--net", *OWN, "sleep", "600"]) as child:
        try:
            space = f"/proc/{child.pid}/ns/net"
            until(lambda: os.stat(space).st_ino != netns.own().inode, why="its namespace")
            monkeypatch.setattr(netns, "service_of", lambda pid: service if pid == child.pid else None)
            check(child.pid)
        finally:
            child.kill()


@pytest.mark.namespace
@pytest.mark.parametrize(
    ("service", "name"),
    [
        (WEB, "web"),
        (ServiceName(container_id=ID), ID[:12]),
        (POD, "shop/web-0"),
        (ServiceName(container_id=ID, pod_uid=UID), UID),
    ],
)
def test_a_namespace_is_called_as_its_container_or_pod(
    service: ServiceName, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(pid: int) -> None:
        inode = os.stat(f"/proc/{pid}/ns/net").st_ino
        (found,) = [space for space in netns.find_all().namespaces if space.inode == inode]
        assert found.name == name
        assert netns.find(name).inode == inode
        assert netns.find(ID[:8]).inode == inode

    called(service, monkeypatch, check)


@pytest.mark.namespace
def test_a_service_without_a_container_is_called_by_its_pid(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(pid: int) -> None:
        assert str(pid) in [space.name for space in netns.find_all().namespaces]
        with pytest.raises(UsageError, match=r"there is no /run/netns/web\.service"):
            netns.find("web.service")

    called(ServiceName(unit="web.service"), monkeypatch, check)


def test_one_that_only_a_file_keeps_is_found(tmp_path: Path) -> None:
    """As docker keeps them below /run/docker/netns: bound to a file, though no process is in it."""
    file = tmp_path / "1f2e3d"
    file.touch()
    script = f"unshare --net={file} true && exec {ESTAB} observe --all-netns"
    done = subprocess.run(
        ["unshare", "--mount", *OWN, "sh", "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert file.name in [json.loads(line)["netns"] for line in done.stdout.splitlines()]


def test_a_process_says_its_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "var/log/containers").mkdir(parents=True)
    (tmp_path / f"var/log/containers/web-0_shop_nginx-{ID}.log").touch()
    path = f"/kubepods/besteffort/pod{UID}/{ID}"
    monkeypatch.setattr(process_names, "_cgroup", lambda _pid: path)
    monkeypatch.setattr(
        process_names, "container_names", lambda *ids: containers.container_names(*ids, root=str(tmp_path))
    )
    for remembered in (process_names._service, process_names._told):
        remembered.cache_clear()
        monkeypatch.setattr(process_names, remembered.__name__, remembered.__wrapped__)
    service = process_names.service_of(os.getpid())
    assert service == POD
    assert service.words == "pod shop/web-0"


@pytest.mark.parametrize(
    ("service", "words"),
    [
        (ServiceName(unit="nginx.service"), "nginx.service"),
        (ServiceName(unit="docker.service", container_id=ID), f"container {ID[:12]}"),
        (WEB, "container web"),
        (ServiceName(container_id=ID, pod_uid=UID), f"pod {UID}"),
        (ServiceName(), ""),
    ],
)
def test_the_widest_is_said(service: ServiceName, words: str) -> None:
    assert service.words == words


@pytest.mark.parametrize(
    ("text", "is_called"),
    [
        ("web", True),
        (ID, True),
        (ID[:6], True),
        (ID[:5], False),
        ("nginx.service", True),
        ("nginx", False),
        ("", False),
    ],
)
def test_what_it_is_called(text: str, is_called: bool) -> None:
    assert WEB.replace(unit="nginx.service").is_called(text) == is_called
