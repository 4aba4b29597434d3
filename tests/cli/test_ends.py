"""How runs end: Ctrl-C, SIGTERM, kill -9 of a worker or of the command, and that nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.cli.terminal import started
from tests.forked import forked
from tests.namespaces import until
from tests.processes import children, wait_gone

from estab import RunResult
from estab.records import RUN_SCHEMA, decode


def start(*arguments: str, json_file: Path | None = None) -> subprocess.Popen[str]:
    extra = ["--json", str(json_file)] if json_file else []
    return started(*arguments, *extra)


def wait_for_workers(process: subprocess.Popen[str], count: int, descriptors: int = 9) -> list[int]:
    """The workers, once there are `count` and each has so many descriptors open: its sockets are there."""

    def are_there() -> bool:
        assert process.poll() is None, process.communicate()
        workers = children(process.pid)
        return len(workers) >= count and all(open_files(pid) >= descriptors for pid in workers)

    until(are_there, why=f"{count} workers are there")
    return children(process.pid)


def open_files(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


COMMANDS = [
    ("bench", "-c", "20", "-d", "60"),
    ("bench", "-c", "20", "-d", "60", "--mode", "flood"),
    ("hold", "-n", "50", "-d", "60"),
    ("churn", "-c", "20", "-d", "60", "-s", "64"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "-".join(command[::5]))
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted(command: tuple[str, ...], number: signal.Signals, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    process = start(*command, json_file=path)
    workers = wait_for_workers(process, 2)
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    took = time.monotonic() - began
    assert process.returncode == 130
    assert took < 15, "promised within a second; the rest is room for a busy machine, and far below the 60 s asked for"
    assert err == ""
    assert "interrupted" in out.lower()
    run = decode(path.read_bytes(), RunResult, RUN_SCHEMA)
    assert run.interrupted
    assert run.funnel.connected > 0
    wait_gone(workers)


def test_a_signal_to_the_whole_process_group_loses_no_worker(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    command = forked("bench", "-c", "20", "-d", "60", "--json", str(path))
    process = subprocess.Popen(
        **command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    workers = wait_for_workers(process, 2)
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 130
    run = decode(path.read_bytes(), RunResult, RUN_SCHEMA)
    assert [worker.lost for worker in run.client.workers + run.server.workers] == [None, None]
    wait_gone(workers)


@pytest.mark.parametrize("command", [("serve", "--listen", "127.0.0.1:0"), ("hold", "-n", "50", "-d", "60")])
def test_a_signal_to_the_group_while_workers_start(command: tuple[str, ...]) -> None:
    """Ctrl-C on a terminal reaches the workers too, the moment they exist: it is an interruption, no lost worker."""
    process = subprocess.Popen(
        **forked(*command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    )
    deadline = time.monotonic() + 20
    while not children(process.pid):
        assert time.monotonic() < deadline
    os.killpg(process.pid, signal.SIGINT)
    _out, said = process.communicate(timeout=30)
    assert (process.returncode, "died of signal" in said) == (130, False), said


def test_serve_interrupted() -> None:
    process = start("serve", "echo", "--listen", "127.0.0.1:0", "--processes", "2")
    assert process.stdout is not None
    assert "listening on" in process.stdout.readline()
    workers = children(process.pid)
    assert len(workers) == 2
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopped after" in out
    assert err == ""
    wait_gone(workers)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "-".join(command[::5]))
def test_killed_outright_leaves_no_process(command: tuple[str, ...]) -> None:
    process = start(*command)
    workers = wait_for_workers(process, 2)
    process.kill()
    process.communicate(timeout=30)
    wait_gone(workers)


def test_a_worker_that_dies_is_reported_and_its_numbers_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    process = start("hold", "-n", "40", "-d", "1", "--processes", "2", json_file=path)
    workers = wait_for_workers(process, 3, descriptors=25)
    os.kill(max(workers), signal.SIGKILL)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "Traceback" not in err
    run = decode(path.read_bytes(), RunResult, RUN_SCHEMA)
    lost = [worker for worker in run.client.workers if worker.lost]
    assert len(lost) == 1
    assert lost[0].exit == -signal.SIGKILL
    assert lost[0].attempted == 20
    assert run.funnel.attempted == 40
    assert run.funnel.completed == 20
    assert "died" in out
