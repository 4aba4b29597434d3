"""Running the `estab` command as a user does: the installed script, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from estab.records import RUN_SCHEMA, RunResult, decode

ESTAB = str(Path(sys.executable).with_name("estab"))


def estab(*arguments: str, nofile: int | None = None, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Runs `estab` to its end, perhaps under `ulimit -n`."""
    command = [ESTAB, *arguments]
    if nofile is not None:
        command = ["/bin/sh", "-c", f'ulimit -n {nofile}; exec "$@"', "sh", *command]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)


def in_namespace(setup: str, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Runs `estab` in a fresh network namespace with lo up, after the shell commands of `setup`."""
    own = [] if os.geteuid() == 0 else ["-Ur"]
    script = f'ip link set lo up; {setup}\nexec "$@"'
    command = ["unshare", *own, "-n", "/bin/sh", "-ec", script, "sh", ESTAB, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)


def recorded(done: subprocess.CompletedProcess[str]) -> RunResult:
    """The run that `--json -` printed; fails with what was said where there is none."""
    assert done.stdout, f"exit {done.returncode}, no JSON; stderr: {done.stderr}"
    return decode(done.stdout.encode(), RunResult, RUN_SCHEMA)


def assert_one_clear_line(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """The exit code, one line on stderr with these words in it, and no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("estab: ")
    for word in words:
        assert word in lines[0]


def children(pid: int) -> list[int]:
    """The processes whose parent is `pid`."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            stat = Path(f"/proc/{name}/stat").read_text("utf-8", "replace")  # a process may call itself anything
        except OSError:
            continue
        if int(stat.rsplit(")", 1)[1].split()[1]) == pid:
            found.append(int(name))
    return found


def ended(handle: int) -> bool:
    """Whether the process of this handle (pidfd_open(2)) ends within 20 seconds. The handle is closed."""
    try:
        return bool(select.select([handle], [], [], 20)[0])
    finally:
        os.close(handle)


def wait_gone(pids: Iterable[int]) -> None:
    """Returns when none of the processes is left; fails where one takes more than 20 seconds."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            assert ended(os.pidfd_open(pid)), f"process {pid} is still there"
