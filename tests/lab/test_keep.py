"""`estab lab run NAME --keep`: the lines it prints work, the listener is there, and all is gone when one leaves."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from tests.ordinary_user import GIVE_UP
from tests.processes import ended

pytestmark = [pytest.mark.long, pytest.mark.namespace]
WAITS = "Enter or Ctrl-C leaves"


class Kept:
    """The lab on a terminal of its own."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process, self.terminal, self.text = process, terminal, ""

    def read_until(self, wanted: str | None, within_s: float = 60) -> str:
        """What it printed, up to `wanted`, or to its end."""
        deadline = time.monotonic() + within_s
        while wanted is None or wanted not in self.text:
            assert select.select([self.terminal], [], [], deadline - time.monotonic())[0], self.text
            try:
                chunk = os.read(self.terminal, 65536)
            except OSError:  # the other end is closed
                chunk = b""
            if not chunk:
                break
            self.text += chunk.decode()
        assert wanted is None or wanted in self.text, self.text
        return self.text

    def lines(self, ending: str) -> list[str]:
        """The command lines that it printed, by what they run."""
        found = [line.strip() for line in self.text.replace("\r", "").split("\n")]
        return [line for line in found if line.startswith("nsenter ") and line.endswith(ending)]


@contextlib.contextmanager
def kept(scenario: str, *more: str, python: tuple[str, ...] = (sys.executable,)) -> Iterator[Kept]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*python, "-P", "-m", "estab", "lab", "run", scenario, "--keep", *more], stdin=theirs, stdout=theirs,
        stderr=theirs, start_new_session=True, cwd="/", env={**os.environ, "COLUMNS": "80", "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    try:
        yield Kept(process, ours)
    finally:
        process.kill()
        process.wait(timeout=20)
        os.close(ours)


def inside(line: str, *who: str) -> str:
    """What a printed line prints."""
    done = subprocess.run([*who, *shlex.split(line)], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, (line, done.stderr)
    return done.stdout


def numbers(lab: Kept) -> list[int]:
    """Handles of the processes that the lines name."""
    found = {int(shlex.split(line)[shlex.split(line).index("-t") + 1]) for line in lab.lines("")}
    return [os.pidfd_open(pid) for pid in found]


def assert_gone(handles: list[int]) -> None:
    for handle in handles:
        assert ended(handle)


@pytest.mark.parametrize("leave", ["enter", "ctrl-c"])
def test_the_printed_lines_show_the_full_queue(leave: str) -> None:
    with kept("server_not_accepting", "--set", "backlog=5", "--set", "connections=40") as lab:
        lab.read_until(WAITS)
        (listener,) = lab.lines("ss -tlnp")
        state, waiting, limit, *_rest = inside(listener).splitlines()[1].split()
        assert (state, waiting, limit) == ("LISTEN", "6", "5")
        client, server = (inside(line).count("ESTAB") for line in lab.lines("ss -tan"))
        assert (client, server) == (40, 6)
        (nstat,) = lab.lines("TcpExtListenDrops")
        assert int(inside(nstat).split("TcpExtListenDrops")[1].split()[0]) >= 34
        handles = numbers(lab)
        assert len(handles) == 3
        if leave == "enter":
            os.write(lab.terminal, b"\n")
        else:
            os.killpg(lab.process.pid, signal.SIGINT)
        lab.read_until(None)
        assert "Traceback" not in lab.text
        assert "1 scenario" in lab.text.split(WAITS)[1]
        assert lab.process.wait(timeout=10) in (0, 1)  # the settings are not those that the remedies were made for
        assert_gone(handles)


def test_an_ordinary_user_enters_by_the_user_namespace(ordinary_python: tuple[str, ...]) -> None:
    with kept("server_not_accepting", "--set", "backlog=5", python=ordinary_python) as lab:
        lab.read_until(WAITS)
        (listener,) = lab.lines("ss -tlnp")
        assert "--preserve-credentials -U" in listener
        assert inside(listener, *GIVE_UP).splitlines()[1].split()[:3] == ["LISTEN", "6", "5"]
        handles = numbers(lab)
        os.write(lab.terminal, b"\n")
        lab.read_until(None)
        assert_gone(handles)


def test_a_failure_is_stayed_in_as_well() -> None:
    with kept("server_not_accepting", "--server", "/bin/false") as lab:
        lab.read_until(WAITS)
        assert "ended at once" in lab.text
        assert inside(lab.lines("ss -tlnp")[0]).count("LISTEN") == 0
        handles = numbers(lab)
        os.write(lab.terminal, b"\n")
        lab.read_until(None)
        assert lab.process.wait(timeout=10) == 3
        assert_gone(handles)


def test_one_host_with_both_ends_on_its_loopback() -> None:
    with kept("client_open_files") as lab:
        lab.read_until(WAITS)
        handles = numbers(lab)
        assert inside(lab.lines("ss -tlnp")[0]).count("LISTEN") == 1
        os.write(lab.terminal, b"\n")
        lab.read_until(None)
        assert_gone(handles)


def test_kill_9_while_it_is_kept() -> None:
    with kept("server_not_accepting", "--set", "connections=40") as lab:
        lab.read_until(WAITS)
        handles = numbers(lab)
        lab.process.kill()
        assert_gone(handles)
