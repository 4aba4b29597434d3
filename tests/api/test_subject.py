"""What `attach` is to watch, by the names that people give it: cgroups as systemd, docker and kubelet name them."""

from __future__ import annotations

import pytest

from estab.api import subject
from estab.errors import UsageError
from estab.kernel.formats.cgroup_names import names
from estab.observe import processes
from estab.records import ServiceName

WEB, DB = "4f5c4f5c" * 8, "4f5c4f00" * 8  # two ids that begin alike
POD = "1b2f7c3e-7a66-4f3c-9c1d-0d7f2f6a9b11"
BURSTABLE = "/kubepods.slice/kubepods-burstable.slice"
GROUPS = {
    10: "/system.slice/nginx.service",
    11: "/system.slice/nginx.service/workers",
    20: f"/system.slice/docker-{WEB}.scope",
    21: f"/docker/{DB}",
    30: f"{BURSTABLE}/kubepods-burstable-pod{POD.replace('-', '_')}.slice/cri-containerd-{'ab' * 32}.scope",
    31: f"/kubepods/burstable/pod{POD}/{'cd' * 32}",
    40: "/user.slice/user-0.slice/session-3.scope",
}


def service_of(pid: int) -> ServiceName:
    """As of a host on which only these processes are in a group."""
    called = names(GROUPS.get(pid, "/"))
    return ServiceName(unit=called.unit, container_id=called.container_id, pod_uid=called.pod_uid)


@pytest.fixture(autouse=True)
def _a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "service_of", service_of)
    monkeypatch.setattr(processes, "all_pids", lambda: list(GROUPS))
    monkeypatch.setattr(subject, "_of_processes", subject.Subject)


@pytest.mark.parametrize(
    ("text", "pids"),
    [
        ("nginx.service", [10, 11]),
        ("session-3.scope", [40]),
        (WEB, [20]),
        (WEB[:12], [20]),
        (DB[:8], [21]),
        (DB[:30], [21]),
        (POD, [30, 31]),
        (POD[:8], [30, 31]),
        ("ab" * 6, [30]),
    ],
)
def test_by_unit_container_and_pod(text: str, pids: list[int]) -> None:
    assert subject.find(text).pids == pids


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (WEB[:6], f"several begin: {DB[:12]}, {WEB[:12]}: give more of it"),
        (
            WEB[:5],
            "no unit, container or pod '4f5c4' has one of the 7 processes that are seen here, and no program named",
        ),
        ("nginx.servic", "no unit, container or pod 'nginx.servic' has one of the 7 processes"),
    ],
)
def test_what_may_be_two_or_is_none(text: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        subject.find(text)
    assert words in str(raised.value)
