"""Files that are read: standard input as `-`, and pipes that nobody writes, or reads, and Ctrl-C there."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.cli.terminal import assert_one_clear_line, called, estab
from tests.forked import forked
from tests.namespaces import until

from estab.cli import show

_RECORDED = ("hold", "-n", "3", "-d", "0.05", "--json", "-")


@pytest.fixture(scope="module")
def run_json() -> bytes:
    return estab(*_RECORDED).stdout.encode()


@pytest.fixture(scope="module")
def snapshots() -> bytes:
    return estab("observe", "--count", "2", "--interval", "10ms").stdout.encode()


def fed(data: bytes, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(**forked(*arguments), input=data, capture_output=True, check=False, timeout=60, cwd=cwd)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_a_run_from_standard_input_is_judged(run_json: bytes) -> None:
    done = fed(run_json, "diagnose", "-")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no limit met" in done.stdout


def test_snapshots_from_standard_input_are_judged(snapshots: bytes) -> None:
    done = fed(snapshots, "diagnose", "-")
    assert done.returncode in (0, 1), done.stderr
    assert "2 snapshots" in done.stdout


@pytest.mark.parametrize("kind", ["run", "snapshots"])
def test_a_report_of_standard_input(kind: str, run_json: bytes, snapshots: bytes) -> None:
    """A pipe gives its bytes once: the report must not ask for them twice."""
    done = fed({"run": run_json, "snapshots": snapshots}[kind], "report", "-", "--markdown")
    assert (done.returncode, done.stderr) == (0, "")
    assert "cause" in done.stdout


def test_one_side_of_a_comparison_from_standard_input(run_json: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(run_json)
    done = fed(run_json, "compare", "a.json", "-", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "standard input" in done.stdout


@pytest.mark.parametrize(
    "arguments", [("diagnose", "-", "-"), ("compare", "-", "-"), ("report", "-", "-", "--markdown")]
)
def test_standard_input_is_read_once(arguments: tuple[str, ...], run_json: bytes) -> None:
    assert_one_clear_line(fed(run_json, *arguments), 2, "standard input", "once")


@pytest.mark.parametrize("arguments", [("diagnose", "-"), ("report", "-", "--markdown"), ("lab", "twin", "-")])
@pytest.mark.parametrize("data", [b"", b"garbage\xff\n", b"{}"])
def test_what_is_wrong_with_standard_input(arguments: tuple[str, ...], data: bytes) -> None:
    assert_one_clear_line(fed(data, *arguments), 2, "standard input: ")


@pytest.mark.parametrize("arguments", [("diagnose", "--jsn", "x"), ("report", "-x"), ("lab", "twin", "--foo")])
def test_an_option_that_there_is_not_is_no_file(arguments: tuple[str, ...]) -> None:
    option = next(word for word in arguments if word.startswith("-"))
    assert_one_clear_line(called(*arguments), 2, f"there is no option {option};")


def test_a_command_that_takes_no_file_names_the_option_and_its_help() -> None:
    assert_one_clear_line(called("lab", "run", "--foo"), 2, "Unknown option: --foo", "estab lab run --help")


OPEN = ("257", "56")  # the number of openat() on x86-64 and arm64


class Stuck:
    """Whether a process is in one and the same open() each time that it is looked at, ten times in turn."""

    def __init__(self, pid: int) -> None:
        self._path = Path(f"/proc/{pid}/syscall")
        self._last, self._times = "", 0

    def __call__(self) -> bool:
        now = self._path.read_text()
        self._times = self._times + 1 if now == self._last and now.split()[0] in OPEN else 0
        self._last = now
        return self._times >= 10


@pytest.mark.parametrize(
    "arguments",
    [
        ("diagnose", "PIPE"),
        ("report", "PIPE", "--markdown"),
        ("compare", "PIPE", "PIPE"),
        ("lab", "twin", "PIPE"),
        ("watch", "--replay", "PIPE", "--once"),
        ("observe", "--json", "PIPE"),
        ("watch", "--record", "PIPE"),
        ("hold", "-n", "1", "-d", "0.01", "--json", "PIPE"),
    ],
    ids=" ".join,
)
def test_ctrl_c_ends_the_wait_for_a_pipe(arguments: tuple[str, ...], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "PIPE")
    process = subprocess.Popen(
        **forked(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        cwd=tmp_path,
    )  # fmt: skip
    try:
        until(Stuck(process.pid), within_s=20, why="it opens the pipe")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, said) == (130, "estab: interrupted\n")


def test_who_insists_on_ctrl_c_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not end at a stop, as a write into a pipe that nobody reads, ends at a second Ctrl-C a while later."""
    monkeypatch.setattr(show, "_AGAIN_S", 0.5)
    with show.stoppable() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)  # pressed twice in haste: the first one counts, and nothing is lost
        first_s = time.monotonic()
        assert stop.is_set
        until(lambda: time.monotonic() > first_s + 0.51, within_s=5, why="a while has passed")
        os.kill(os.getpid(), signal.SIGTERM)  # as a manager does that asks more than once
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    "arguments",
    [
        ("observe", "--json", "kept", "--count", "-1"),
        ("observe", "--json", "kept", "--netns", "nosuch"),
        ("watch", "--once", "--record", "kept", "--netns", "nosuch"),
    ],
    ids=" ".join,
)
def test_a_file_keeps_what_it_holds_where_nothing_can_be_seen(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("precious")
    assert fed(b"", *arguments, cwd=tmp_path).returncode == 2
    assert (tmp_path / "kept").read_text() == "precious"
