"""Which limit an error of memory, threads or processes met: by made-up /proc and cgroups, and by real limits."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from estab import shortage

LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max data size             {data}            unlimited            bytes
Max stack size            8388608              unlimited            bytes
Max processes             {tasks}                96365                processes
Max address space         {space}            unlimited            bytes
"""
NO_THREAD = RuntimeError("can't start new thread")
NO_FORK = BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
NO_MEMORY = (
    MemoryError(),
    OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    ImportError("libcrypto.so.3: failed to map segment from shared object"),
    ImportError("_core.so: cannot allocate memory in static TLS block"),
)


class Machine:
    """A tree with what is read of a machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.limits()
        self.put("proc/self/status", "Name:\tpython\nVmPeak:\t   31000 kB\nVmSize:\t   30000 kB\n")
        self.put("proc/loadavg", "0.00 0.01 0.05 1/200 12345\n")
        self.put("proc/sys/kernel/threads-max", "96365\n")
        self.put("proc/sys/kernel/pid_max", "4194304\n")

    def put(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def limits(self, data: str = "unlimited", tasks: str = "unlimited", space: str = "unlimited") -> None:
        self.put("proc/self/limits", LIMITS.format(data=data, tasks=tasks, space=space))

    def says(self, error: BaseException) -> str | None:
        return shortage.explain(error, str(self.root))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("error", NO_MEMORY, ids=repr)
def test_memory(machine: Machine, error: BaseException) -> None:
    machine.limits(space="40960000")
    assert machine.says(error) == "out of memory: RLIMIT_AS is 40,000 kB; raise it (`ulimit -v`)"
    machine.limits(data="40960000")
    assert machine.says(error) == "out of memory: RLIMIT_DATA is 40,000 kB; raise it (`ulimit -d`)"


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("0::/a/b", "sys/fs/cgroup/a/b/memory.max"),
        ("0::/a/b", "sys/fs/cgroup/a/memory.max"),
        ("0::/", "sys/fs/cgroup/memory.max"),
        ("4:memory:/a", "sys/fs/cgroup/memory/a/memory.limit_in_bytes"),
    ],
)
def test_memory_of_the_cgroup(machine: Machine, line: str, path: str) -> None:
    machine.put("proc/self/cgroup", f"8:pids:/\n{line}\n")
    machine.put(path, "41943040\n")
    said = machine.says(MemoryError())
    assert said is not None
    assert said.endswith(f"/{path} is 40,960 kB; raise it")


@pytest.mark.parametrize("none", ["max", str((1 << 63) - 4096)])
def test_a_cgroup_without_a_limit_is_not_named(machine: Machine, none: str) -> None:
    machine.put("proc/self/cgroup", "0::/a\n")
    machine.put("sys/fs/cgroup/a/memory.max", none)
    assert "no limit of this process" in str(machine.says(MemoryError()))
    machine.put("proc/sys/vm/overcommit_memory", "2\n")
    assert "vm.overcommit_memory is 2" in str(machine.says(MemoryError()))


@pytest.mark.parametrize("error", [NO_THREAD, NO_FORK], ids=repr)
def test_threads_and_processes(machine: Machine, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "look at RLIMIT_NPROC" in str(machine.says(error))
    machine.put("proc/sys/kernel/threads-max", "203\n")
    assert "kernel.threads-max is 203; raise it" in str(machine.says(error))
    monkeypatch.setattr(os, "geteuid", lambda: machine.root.stat().st_uid)
    for task in range(3):
        machine.put(f"proc/77/task/{task}/stat", "")
    machine.limits(tasks="3")
    at_three = str(machine.says(error))
    assert ("RLIMIT_NPROC is 3; raise it (`ulimit -u`)" in at_three) == (os.geteuid() != 0)
    machine.put("proc/self/cgroup", "8:pids:/x\n0::/\n")
    machine.put("sys/fs/cgroup/pids/x/pids.max", "3\n")
    machine.put("sys/fs/cgroup/pids/x/pids.current", "3\n")
    assert "/sys/fs/cgroup/pids/x/pids.max is 3; raise it" in str(machine.says(error))
    machine.limits(space=str(31_000 * 1024))
    assert "no thread can be started: RLIMIT_AS is 31,000 kB" in str(machine.says(error))


def test_what_fails_near_the_end_of_memory_fails_of_it(machine: Machine) -> None:
    strange = SystemError("error return without exception set")
    assert machine.says(strange) is None
    machine.limits(space=str(32_000 * 1024))
    assert "RLIMIT_AS is 32,000 kB" in str(machine.says(strange))
    machine.limits(space=str(64_000 * 1024))
    assert machine.says(strange) is None


@pytest.mark.parametrize("error", [ValueError("x"), OSError(errno.EMFILE, "x"), RuntimeError("x"), ImportError("x")])
def test_other_errors_are_not_explained(machine: Machine, error: BaseException) -> None:
    assert machine.says(error) is None


def test_what_a_process_of_ours_said(machine: Machine) -> None:
    machine.limits(space="40960000")
    assert "RLIMIT_AS" in str(
        shortage.explain_words("client worker could not start: Cannot allocate memory", str(machine.root))
    )
    assert shortage.explain_words("Address already in use", str(machine.root)) is None


def test_nothing_of_it_can_be_read(tmp_path: Path) -> None:
    assert "out of memory" in str(shortage.explain(MemoryError(), str(tmp_path)))
    assert "no thread or process" in str(shortage.explain(NO_FORK, str(tmp_path)))


# --- as a user meets it ---


def run(before: Callable[[], None], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "estab", *arguments],
        capture_output=True, text=True, check=False, timeout=60, preexec_fn=before,
    )  # fmt: skip


COMMANDS = [
    ("hold", "-n", "5", "-d", "0.1s"),
    ("watch", "--once"),
    ("observe",),
    ("diagnose", "--help"),
    ("lab", "list"),
]


@pytest.mark.parametrize("kilobytes", [16_000, 20_000, 24_000, 28_000, 32_000, 36_000])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_memory(command: tuple[str, ...], kilobytes: int) -> None:
    """It works, or it says what it lacked: while it is imported, while it works, or in a worker process."""
    size = kilobytes * 1024
    done = run(lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)), *command)
    lacking = f"RLIMIT_AS is {kilobytes:,} kB; raise it (`ulimit -v`)"
    if done.returncode == 3:
        *before, last = done.stderr.splitlines()
        assert lacking in last
        assert before == [] or "code for hash" in before[0]  # Python's hashlib logs what it can't load
    else:
        assert done.stderr == ""
