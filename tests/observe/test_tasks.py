"""Processes and threads against the limits that hold for a process: made files, and one real process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from estab.observe import cgroups, tasks
from estab.observe.tasks import TaskLimits, TaskWatch
from estab.records import Tasks

INITIAL, OF_A_CONTAINER = b"         0          0 4294967295\n", b"0 100000 65536\n"


def grouped(folder: Path, monkeypatch: pytest.MonkeyPatch, **groups: dict[str, str]) -> list[str]:
    """The cgroups of every process, narrow to wide, with these files."""
    made = []
    for name, files in groups.items():
        (folder / name).mkdir(exist_ok=True)
        for file, text in files.items():
            (folder / name / file.replace("_", ".")).write_text(f"{text}\n")
        made.append(str(folder / name))
    monkeypatch.setattr(cgroups, "groups_with", lambda *_: tuple(made))
    return made


def of_processes(monkeypatch: pytest.MonkeyPatch, by_pid: dict[int, tuple[int, int, int]], **more: bytes) -> None:
    """Each process's user, threads and capabilities; `more`: its other files."""
    files = {"limits": b"Max processes 24 24 processes\n", "uid_map": INITIAL, **more}

    def read(pid: int, name: str) -> bytes:
        if name != "status":
            return files[name]
        if pid not in by_pid:
            raise FileNotFoundError(pid)
        uid, threads, capabilities = by_pid[pid]
        return f"Uid:\t{uid} {uid} {uid} {uid}\nThreads:\t{threads}\nCapEff:\t{capabilities:x}\n".encode()

    monkeypatch.setattr(tasks, "_read", read)
    monkeypatch.setattr(tasks, "_user_namespace", lambda _pid: "user:[1]")
    monkeypatch.setattr(os, "listdir", lambda _path: [*map(str, by_pid), "self"])


def test_the_narrowest_cgroup_and_who_counts_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = grouped(
        tmp_path,
        monkeypatch,
        own={"pids_max": "max", "pids_current": "3", "pids_events": "max 7"},
        above={"pids_max": "20", "pids_current": "19", "pids_events": "max 0"},
        top={"pids_max": "100", "pids_current": "80", "pids_events": "max 9"},
    )
    assert tasks.in_cgroup(os.getpid()) == Tasks(cgroup=made[1], cgroup_most=20, in_cgroup=19, refused=7)


def test_no_limit_is_no_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grouped(tmp_path, monkeypatch, own={"pids_max": "max"}, top={})
    of_processes(monkeypatch, {7: (33, 1, 0)}, limits=b"Max processes unlimited unlimited processes\n")
    monkeypatch.setattr(tasks, "_groups", lambda _pid: (str(tmp_path / "own"),))
    assert tasks.limits_of(7) == TaskLimits()
    assert tasks.of(7) is None


@pytest.mark.parametrize(
    ("uid", "capabilities", "uid_map", "holds"),
    [
        (33, 0, INITIAL, True),
        (0, 0, INITIAL, False),
        (33, 1 << 24, INITIAL, False),  # CAP_SYS_RESOURCE
        (33, 1 << 21, INITIAL, False),  # CAP_SYS_ADMIN
        (33, 1 << 12, INITIAL, True),
        (0, (1 << 41) - 1, OF_A_CONTAINER, True),  # root of a container with a user namespace is nobody outside
    ],
)
def test_for_whom_the_limit_of_a_user_holds(
    uid: int, capabilities: int, uid_map: bytes, holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_groups", lambda _pid: ())
    of_processes(monkeypatch, {7: (uid, 5, capabilities)}, uid_map=uid_map)
    limits = tasks.limits_of(7)
    assert limits is not None
    assert (limits.user, limits.user_most) == (((uid, "user:[1]"), 24) if holds else (None, None))


@pytest.mark.parametrize(("on_the_host", "of_user"), [(23, None), (24, 12)])
def test_a_user_is_counted_where_the_host_has_so_many_tasks(
    on_the_host: int, of_user: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_groups", lambda _pid: ())
    monkeypatch.setattr(tasks.proc_pid, "parse_all_tasks", lambda _data: on_the_host)
    of_processes(monkeypatch, {7: (33, 5, 0), 8: (33, 7, 0), 9: (34, 100, 0)})
    assert tasks.of(7) == Tasks(user_most=24, of_user=of_user)


def test_the_most_of_several_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter(
        (Tasks(in_cgroup=3, refused=1, of_user=8), Tasks(in_cgroup=9, refused=2), Tasks(in_cgroup=1, refused=4))
    )
    limits = TaskLimits(groups=("/a",), most=20)
    monkeypatch.setattr(tasks, "limits_of", lambda pid: limits if pid < 9 else None)
    monkeypatch.setattr(tasks, "counted", lambda _limits: next(looks))
    watch = TaskWatch()
    for _ in range(3):
        watch.look([7, 8, 9])  # two of the same limits, and one that is gone
    assert watch.of(7) == watch.of(8) == Tasks(in_cgroup=9, refused=4, of_user=8)
    assert (watch.of(9), tasks.most(None, Tasks()), tasks.most(Tasks(), None)) == (None, Tasks(), Tasks())


def test_a_real_process() -> None:
    assert tasks.limits_of(os.getpid()) is not None
    assert tasks.of(2**22 + 1) is None
