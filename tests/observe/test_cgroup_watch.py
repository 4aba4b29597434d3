"""What cgroups did to processes, from made files of both versions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from estab.observe import cgroups
from estab.observe.cgroup_watch import CgroupWatch
from estab.records import CgroupCpu, ProgramCgroup

V2 = {"pids.max": "20", "pids.events": "max 3", "memory.max": "1048576", "memory.events": "low 0\noom 1\noom_kill 1"}
V1 = {
    "pids.max": "20",
    "pids.events": "max 3",
    "memory.limit_in_bytes": "1048576",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1",
}
NONE = {"pids.max": "max", "memory.limit_in_bytes": "9223372036854771712"}
SINCE = {"v2": V2 | {"pids.events": "max 8"}, "v1": V1 | {"pids.events": "max 8"}}


def write(group: Path, files: dict[str, str]) -> None:
    group.mkdir(exist_ok=True)
    for name, text in files.items():
        (group / name).write_text(f"{text}\n")


@pytest.mark.parametrize(("files", "later"), [(V2, SINCE["v2"]), (V1, SINCE["v1"])], ids=["v2", "v1"])
def test_limits_and_how_often_they_were_met_since(
    files: dict[str, str], later: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = [CgroupCpu(path="/", cores=0.5, periods=10 * n, throttled=n, throttled_us=1000 * n) for n in (1, 4)]
    monkeypatch.setattr(cgroups, "groups_with", lambda *_: [str(tmp_path / "inner"), str(tmp_path)])
    monkeypatch.setattr(cgroups, "cpu_of", lambda _: cpu.pop(0))
    write(tmp_path, NONE)
    write(tmp_path / "inner", files)
    watch = CgroupWatch()
    watch.see([os.getpid(), os.getpid()])
    write(tmp_path / "inner", later)
    watch.see([os.getpid()])
    assert watch.worst() == ProgramCgroup(
        cores=0.5,
        periods=30,
        throttled=3,
        throttled_us=3000,
        pids_max=20,
        pids_refused=5,
        memory_max_bytes=1 << 20,
        oom_kills=0,
    )


def test_without_a_limit_there_is_nothing_to_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "groups_with", lambda *_: [str(tmp_path)])
    monkeypatch.setattr(cgroups, "cpu_of", lambda _: CgroupCpu(path="/", periods=0, throttled=0, throttled_us=0))
    write(tmp_path, NONE)
    watch = CgroupWatch()
    watch.see([os.getpid(), 2**22 + 1])
    assert watch.worst() is None


def test_of_several_groups_the_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "path_of", lambda pid: f"/{pid}")
    looks = {pid: [ProgramCgroup(oom_kills=0), ProgramCgroup(oom_kills=pid)] for pid in range(1, 12)}
    watch = CgroupWatch(lambda pid: looks[pid].pop(0))
    watch.see(looks)
    watch.see(range(1, 9))
    assert watch.worst() == ProgramCgroup(oom_kills=8)  # of the first eight
