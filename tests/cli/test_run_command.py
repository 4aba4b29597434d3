"""`estab run`: the command's streams, terminal, signals and exit code stay its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.terminal import ESTAB, assert_one_clear_line, called, estab
from tests.cli.tmux import Terminal
from tests.forked import forked
from tests.namespaces import until
from tests.observe.test_observe_command import instances
from tests.processes import children

WAITS = "import signal, sys, time\nprint('ready', flush=True)\ntime.sleep(60)"
TIDIES_UP = """
import signal, sys, time
def tidy(number, frame):
    print('got', signal.Signals(number).name, flush=True)
    sys.exit(7)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, tidy)
print('ready', flush=True)
time.sleep(60)
"""


def run(*command: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(**forked("run", *command), capture_output=True, text=True, check=False, timeout=60, **more)


@contextlib.contextmanager
def started(*command: str) -> Iterator[subprocess.Popen[str]]:
    """`estab run` once its command has said that it is ready; whatever happens, both are gone at the end."""
    with subprocess.Popen(
        **forked("run", *command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        below = children(process.pid)
        try:
            yield process
        finally:
            process.kill()
            for pid in below:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def test_streams_and_exit_code_are_the_commands(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    ran = run("--brief", "--json", str(path), "--", "sh", "-c", "cat; echo oh >&2; exit 3", input="in and out\n")
    assert (ran.stdout, ran.returncode) == ("in and out\n", 3)
    first, verdict = ran.stderr.splitlines()
    assert first == "oh"
    assert verdict.startswith("✓ sh used no TCP connection")
    program = json.loads(path.read_bytes())["program"]
    assert (program["name"], program["exit"]) == ("sh", 3)
    assert "-c" not in path.read_text()  # arguments may hold secrets


def test_quiet_says_nothing() -> None:
    ran = run("-q", "--", "true")
    assert (ran.stdout, ran.stderr, ran.returncode) == ("", "", 0)


def test_options_behind_the_dashes_are_the_commands() -> None:
    ran = run("-q", "--", "sh", "-c", 'echo "$@"', "sh", "--help", "-v", "--json", "x", "--")
    assert ran.stdout == "--help -v --json x --\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, ("command is missing", "estab run --")),
        (("--json", "-", "--", "true"), 2, ("--json", "standard output is the command's")),
        (("--to", "nowhere", "--", "true"), 2, ("--to", "no port")),
        (("--", "no-such-command", "-x"), 127, ("no-such-command: command not found",)),
        (("--", "/etc/passwd"), 126, ("/etc/passwd: Permission denied",)),
    ],
)
def test_what_cannot_be_run(arguments: tuple[str, ...], code: int, words: tuple[str, ...]) -> None:
    ran = run(*arguments)
    assert_one_clear_line(ran, code, *words)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_to_estab_reaches_the_command_once(number: signal.Signals) -> None:
    with started("--brief", "--", sys.executable, "-S", "-c", TIDIES_UP) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert out == f"got {number.name}\n"
    assert process.returncode == 7
    assert err.startswith("✓ python used no TCP connection")


def test_a_command_that_a_signal_kills() -> None:
    with started("-q", "--sampled", "--", sys.executable, "-S", "-c", WAITS) as process:
        [command] = children(process.pid)
        os.kill(command, signal.SIGKILL)
        assert process.wait(timeout=30) == 128 + signal.SIGKILL


def test_the_command_has_its_signals_as_a_shell_gives_them() -> None:
    fields = ["SigBlk", "SigIgn"]
    plain = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
    under = run("-q", "--", "cat", "/proc/self/status").stdout
    for field in fields:
        assert _field(under, field) == _field(plain, field)


def _field(status: str, name: str) -> int:
    """A set of signals, without the two that the C library keeps for itself (nptl(7))."""
    line = next(line for line in status.splitlines() if line.startswith(name))
    return int(line.split()[1], 16) & ~(0b11 << 31)


def test_a_killed_estab_leaves_nothing_of_its_own() -> None:
    with started("-q", "--sampled", "--", sys.executable, "-S", "-c", WAITS) as process:
        [command] = children(process.pid)
        process.kill()
        process.wait(timeout=30)
        os.kill(command, signal.SIGKILL)  # the command goes on, as under time(1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root traces")
@pytest.mark.parametrize("victim", ["estab", "tracer", "both"])
def test_no_trace_is_left_behind_a_kill(victim: str) -> None:
    with started("-q", "--", sys.executable, "-S", "-c", WAITS) as process:
        tracer, command = sorted(children(process.pid))
        until(lambda: len(instances(tracer)) == 1, why="it traces")
        if victim in ("estab", "both"):
            process.kill()
        if victim in ("tracer", "both"):
            os.kill(tracer, signal.SIGKILL)
        os.kill(command, signal.SIGKILL)
        process.wait(timeout=30)
    if victim == "both":
        run("-q", "--", "true")  # the next run removes what the dead left
    until(lambda: instances(tracer) == [], why="nothing is left")


def test_a_program_that_draws_the_whole_screen_and_ctrl_c(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("".join(f"line {number}\n" for number in range(500)))
    term = Terminal(tmp_path)
    try:
        term.start(80, 24, ESTAB, "run", "--brief", "--", "less", str(text))
        term.until(r"line 0\n.*line 20\n")
        term.press("G")
        term.until(r"line 499\n")
        term.press("q")
        assert "less used no TCP connection" in term.until("used no TCP connection")
        assert term.exit_code() == 0
    finally:
        term.press("C-c")


def test_ctrl_c_ends_the_command_its_own_way(tmp_path: Path) -> None:
    term = Terminal(tmp_path)
    term.start(80, 24, ESTAB, "run", "--brief", "--", sys.executable, "-S", "-c", TIDIES_UP)
    term.until("ready")
    term.press("C-c")
    shown = term.until("used no TCP connection")
    assert shown.count("got SIGINT") == 1
    assert term.exit_code() == 7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("attach",), ("attach", "--help")),
        (("attach", "no-such.service"), ("no-such.service", "ss -ltnp")),
        (("attach", "1", "-d", "0"), ("duration", "0")),
        (("attach", "host.invalid:1"), ("unknown host", "host.invalid")),
    ],
)
def test_what_cannot_be_attached_to(arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert_one_clear_line(called(*arguments), 2, *words)


def test_attach_ends_with_the_process() -> None:
    with subprocess.Popen(["sleep", "2"]) as process:
        began = time.monotonic()
        ran = estab("attach", str(process.pid), "-d", "50", "--brief")
        assert "used no TCP connection" in ran.stdout
        assert time.monotonic() - began < 40, "it was to end with the process, after 2 s"
