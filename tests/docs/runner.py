"""Runs the command lines of a page as they stand, in a network namespace of their own, one after the other.

The addresses that the pages use are this namespace's: 10.0.0.5 and two more on lo. A page that loads 10.0.0.5:5000 and
starts no server there finds an echo server, or one of HTTP where it asks for a URL. What runs until Ctrl-C gets it when
the page is over.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import namespaces
from tests.docs.pages import Block, calls
from tests.forked import forked

ADDRESSES = ("10.0.0.5", "10.0.0.21", "10.0.0.22")
TARGET = re.compile(r"(http://)?\b(?:10\.0\.0\.5|127\.0\.0\.1):(\d+)")
PAGE_SERVER = Path(__file__).parent / "page_server.py"
LISTENS = re.compile(r"\bserve\b.*--listen \S+:(\d+)|\bexport\b.*--listen \S+:(\d+)")
LINE_TIMEOUT_S = 60
MORTAL = ("setpriv", "--pdeathsig", "KILL")  # a killed test run leaves no process
SHELL = re.compile(r"[^\w\s./:=,%@+-]")
QUOTED = re.compile(r"\"[^\"$`\\]*\"|'[^']*'")


@dataclass(frozen=True)
class Done:
    """A line that was run: its exit code, what it printed, how long it took."""

    line: str
    status: int
    expected: tuple[int, ...]
    output: str
    seconds: float


def run_page(page: list[Block]) -> list[Done]:
    """All lines of a page, in a fresh namespace and a fresh directory. For a child process: it enters a namespace."""
    namespaces.enter_new_namespace()
    for address in ADDRESSES:
        namespaces.run("ip", "address", "add", f"{address}/32", "dev", "lo")
    with tempfile.TemporaryDirectory(prefix="estab-docs-") as folder, _Shell(Path(folder)) as shell:
        for port, is_http in sorted(_without_a_server(page).items()):
            shell.start(f"python3 {PAGE_SERVER} {port}" if is_http else f"estab serve echo --listen 0.0.0.0:{port}")
        for block in page:
            shell.run_block(block)
    return shell.done


def _without_a_server(page: list[Block]) -> dict[int, bool]:
    """The ports that are loaded and not served; whether one of HTTP is meant."""
    text = "\n".join(line for block in page for line in block.lines)
    served = {int(port) for found in LISTENS.findall(text) for port in found if port}
    asked = [(int(port), bool(scheme)) for scheme, port in TARGET.findall(text) if int(port) not in served]
    return {port: (port, True) in asked for port, _is_http in asked}


class _Shell:
    """Runs lines, and keeps those that do not end by themselves until the page is over."""

    def __init__(self, folder: Path) -> None:
        bin_folder = str(Path(sys.executable).parent)
        self._environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "COLUMNS": "100"}
        self._folder = folder
        self._kept: list[tuple[str, subprocess.Popen[str], Path]] = []
        self.done: list[Done] = []

    def __enter__(self) -> _Shell:
        return self

    def __exit__(self, *_: object) -> None:
        for line, process, printed in self._kept:
            started = time.monotonic()
            if _endless(line):
                os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            output = printed.read_text(encoding="utf-8")
            self.done.append(Done(line, process.returncode, _at_ctrl_c(line), output, time.monotonic() - started))

    def run_block(self, block: Block) -> None:
        """Its lines in turn; each must end with the exit code that the block's marker says."""
        for line in block.lines:
            if line.rstrip().endswith("&") or _endless(line):
                self.start(line.rstrip(" &"))
            else:
                self._run(line, block.statuses)

    def _run(self, line: str, expected: tuple[int, ...]) -> None:
        started = time.monotonic()
        commands = line.split("; ")
        parts = commands if all(map(_is_plain, commands)) else [line]
        status, printed = 0, []
        for part in parts:
            process = self._popen(part, subprocess.PIPE)
            try:
                printed.append(process.communicate(timeout=LINE_TIMEOUT_S)[0])
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                printed += [process.communicate()[0], f"not over after {LINE_TIMEOUT_S} s"]
            status = process.returncode
        self.done.append(Done(line, status, expected, "\n".join(printed), time.monotonic() - started))

    def start(self, line: str) -> None:
        """Starts what runs beside the lines that follow, and waits until it has said something: it is up then."""
        printed = self._folder / f".printed-{len(self._kept)}"
        with printed.open("w", encoding="utf-8") as file:
            process = self._popen(line, file.fileno())
        self._kept.append((line, process, printed))
        namespaces.until(
            lambda: process.poll() is not None or printed.stat().st_size, within_s=20, why=f"{line} says something"
        )

    def _popen(self, line: str, output: int) -> subprocess.Popen[str]:
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        if _is_plain(line):
            command = forked(*shlex.split(bounded(line))[1:], env=self._environment, mortal=True)
        else:
            command = {"args": [*MORTAL, "bash", "-c", bounded(line)], "env": self._environment}
        return subprocess.Popen(**command, **streams, cwd=self._folder, text=True, start_new_session=True)


def _is_plain(command: str) -> bool:
    """Whether it is `estab` and a shell has nothing to do there."""
    return command.startswith("estab ") and not SHELL.search(QUOTED.sub("", command))


def bounded(line: str) -> str:
    """The line with less load: `-d` of 10 s and more becomes 1 s, of any bench 0.2 s; `--count` of 10 and more, 2."""
    line = re.sub(r"(?<=\bestab bench )(.* -d )[\d.]+(?= |$)", r"\g<1>0.2", line)
    line = re.sub(r"(?<= -d )\d{2,}(?= |$)", "1", line)
    return re.sub(r"(?<= --count )\d{2,}(?= |$)", "2", line)


def _endless(line: str) -> bool:
    """Whether it runs until Ctrl-C."""
    return str(PAGE_SERVER) in line or any(_waits_for_ctrl_c(call) for call in calls(line))


def _waits_for_ctrl_c(call: list[str]) -> bool:
    match call[:1]:
        case ["serve"]:
            return not {"-d", "--duration"} & set(call)
        case ["export"]:
            return "--once" not in call
        case ["observe"]:
            return call[1:3] == ["--count", "0"]
    return False


def _at_ctrl_c(line: str) -> tuple[int, ...]:
    """The exit code then: a run was interrupted, an exporter is simply over; 0 where it ends by itself."""
    return (130,) if any(_waits_for_ctrl_c(call) and call[0] != "export" for call in calls(line)) else (0,)
