"""A `--server` that makes a daemon of itself is gone after the run, after Ctrl-C, and after kill -9 of the runner.

With a PID namespace the kernel sees to it; where there is none, the keeper adopts orphans and ends them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.namespaces import until
from tests.processes import children, ended, marked, wait_gone

from estab.lab.process import isolation
from estab.lab.run.session import lab

pytestmark = [pytest.mark.long, pytest.mark.namespace]
PROGRAM = Path(__file__).with_name("daemon.py")
QUICK = "server_not_accepting"
# In place of `python -m estab`: a kernel that allows no PID namespace, as far as the lab's process can see.
_REFUSED = """
import sys
from estab.lab.process import isolation
isolation._allowed = lambda _uid, _gid: False
from estab.lab.run.worker import main
main()
"""


def server(tmp_path: Path) -> tuple[str, str]:
    """The command, and the mark that its processes bear."""
    mark = f"estab-daemon-{tmp_path.parent.name}-{tmp_path.name}"
    return f"env {mark}=1 {sys.executable} {PROGRAM} {{host}} {{port}} 3", mark


@contextlib.contextmanager
def runner(command: str, *python: str) -> Iterator[subprocess.Popen[str]]:
    """The lab with that server, in a session of its own."""
    start = [*(python or (sys.executable,)), "-P", "-m", "estab", "lab", "run", QUICK, "--server", command]
    process = subprocess.Popen(
        [*start, "--json", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        cwd="/",
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)


def pidfds(mark: str, process: subprocess.Popen[Any]) -> list[int]:
    """Handles of the daemon's processes, once one is a daemon: in a session that is neither ours nor the runner's."""
    ours = (os.getsid(0), process.pid)
    handles: list[int] = []

    def is_a_daemon(pid: int) -> bool:
        with contextlib.suppress(ProcessLookupError):
            return os.getsid(pid) not in ours
        return False

    def begun() -> bool:
        assert process.poll() is None, process.communicate()
        return any(is_a_daemon(pid) for pid in marked(mark))

    until(begun, within_s=40, every_s=0.02, why="a daemon has begun")
    for pid in marked(mark):
        with contextlib.suppress(ProcessLookupError):
            handles.append(os.pidfd_open(pid))
    return handles


def assert_gone(handles: list[int], mark: str) -> None:
    """Returns when all have ended, those too that were begun after the handles were taken; each has 20 seconds."""
    for handle in handles:
        assert ended(handle), f"still there: {marked(mark)}"
    wait_gone(marked(mark))
    assert not marked(mark)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_end_of_the_runner_ends_a_daemon(number: signal.Signals, tmp_path: Path) -> None:
    command, mark = server(tmp_path)
    with runner(command) as process:
        handles = pidfds(mark, process)
        process.send_signal(number)
        process.wait(timeout=20)
        assert process.returncode == (130 if number == signal.SIGINT else -number)
        assert_gone(handles, mark)


def test_the_end_of_the_keeper_ends_a_daemon(tmp_path: Path) -> None:
    command, mark = server(tmp_path)
    with runner(command) as process:
        handles = pidfds(mark, process)
        (keeper,) = children(process.pid)
        os.kill(keeper, signal.SIGKILL)
        _out, err = process.communicate(timeout=20)
        assert process.returncode == 3
        assert err.startswith("estab: the lab's process ended with status -9")
        assert len(err.splitlines()) == 1
        assert_gone(handles, mark)


def test_an_ordinary_users_daemon_ends_too(tmp_path: Path, ordinary_python: tuple[str, ...]) -> None:
    _command, mark = server(tmp_path)
    with (
        open_to_all(PROGRAM) as program,
        runner(f"env {mark}=1 /usr/bin/python3 {program} {{host}} {{port}} 3", *ordinary_python) as process,
    ):
        handles = pidfds(mark, process)
        process.kill()
        process.wait(timeout=20)
        assert_gone(handles, mark)


@contextlib.contextmanager
def open_to_all(path: Path) -> Iterator[Path]:
    """A copy of a file that every user may read: the tests may lie where only root looks."""
    with tempfile.TemporaryDirectory(prefix="estab-daemon-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        copy = Path(folder) / path.name
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o644)
        yield copy


def test_a_daemon_serves_and_is_gone_after_the_run(tmp_path: Path) -> None:
    command, mark = server(tmp_path)
    done = lab([QUICK], settings={QUICK: {"connections": 40}}, command=command, gauge=False)
    assert done.contained is True
    rows = {row.what: row.measured for row in done.scenarios[0].rows}
    assert rows["server ESTABLISHED"] == "4", done.scenarios[0].why
    assert not marked(mark)


@pytest.mark.parametrize("end", ["success", "hang-up", "kill"])
def test_without_a_pid_namespace_the_keeper_ends_daemons(end: str, tmp_path: Path) -> None:
    command, mark = server(tmp_path)
    order = {
        "names": [QUICK], "settings": {QUICK: {"connections": 40}}, "full": False, "captures": None,
        "command": command, "gauge": False, "jobs": 1, "waiting": 0, "keep": False, "sweep": False,
    }  # fmt: skip
    stand_in = [sys.executable, "-P", "-c", _REFUSED, str(os.getpid())]
    process = subprocess.Popen(stand_in, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == {"contained": False}
        if end == "success":
            events = [json.loads(line) for line in process.stdout]
            rows = {row["what"]: row["measured"] for row in events[-1]["scenario"]["rows"]}
            assert rows["server ESTABLISHED"] == "4"
            assert process.wait(timeout=20) == 0
            assert not marked(mark)
            return
        handles = pidfds(mark, process)
        if end == "kill":
            for child in isolation.descendants(process.pid)[:1]:
                os.kill(child, signal.SIGKILL)  # what is inside dies, the keeper does not
        else:
            process.stdin.close()
        assert process.wait(timeout=20) == 128 + signal.SIGKILL
        assert_gone(handles, mark)
    finally:
        process.stdin.close()
        process.wait(timeout=20)
        process.stdout.close()
        if process.stderr:
            process.stderr.close()
