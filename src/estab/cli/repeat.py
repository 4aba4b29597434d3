"""`--repeat N`: the same load N times, a file a run, and what the runs have in common."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from estab.cli.options import ReportFlags
from estab.cli.show import JsonFile, console, exit_code, progress_on, stoppable
from estab.errors import UsageError
from estab.load.conductor import Stop
from estab.records import RunResult, encode

if TYPE_CHECKING:
    from estab.api.recorder import Progress
    from estab.api.request import LoadRequest

MOST = 1_000
Once = Callable[[Stop, "Callable[[Progress], None]"], RunResult]


class RunDirectory:
    """Where the runs go: `run-1.json` and on in a directory, or a line each on standard output for `-`.

    A directory that holds runs already is refused: those of an earlier, longer series would be taken for these.
    Raises UsageError before anything is run.
    """

    def __init__(self, path: str | None, number: int) -> None:
        if not 1 <= number <= MOST:
            raise UsageError(f"--repeat is {number:,}, out of range (1 to {MOST:,})")
        self.path, self.digits = path, len(str(number))
        if path is None or path == "-":
            return
        if not path:
            raise UsageError("--json is empty; with --repeat it names a directory")
        self._check(Path(path))
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            raise UsageError(f"can't make the directory --json {path}: {error.strerror}") from error

    @staticmethod
    def _check(path: Path) -> None:
        if path.exists() and not path.is_dir():
            raise UsageError(f"with --repeat, --json names a directory; {path} is a file")
        try:
            there = sorted(file.name for file in path.iterdir() if file.suffix == ".json") if path.exists() else []
        except OSError as error:
            raise UsageError(f"can't read the directory --json {path}: {error.strerror}") from error
        if there:
            raise UsageError(f"--json {path} holds runs already, as {there[0]}; name another directory or empty it")
        if path.exists() and not os.access(path, os.W_OK):
            raise UsageError(f"can't write into --json {path}: permission denied")

    def write(self, number: int, run: RunResult) -> None:
        """Writes one run, whole or not at all: a reader never meets half of one."""
        if self.path is None:
            return
        if self.path == "-":
            JsonFile("-").write(run)
            return
        name = os.path.join(self.path, f"run-{number:0{self.digits}}.json")
        try:
            with open(f"{name}.part", "wb") as file:
                file.write(encode(run) + b"\n")
            os.replace(f"{name}.part", name)
        except OSError as error:
            raise UsageError(f"can't write {name}: {error.strerror}") from error


def repeat(once: Once, number: int, request: LoadRequest, output: ReportFlags) -> int:
    """Runs the load `number` times, or until it is stopped. A run that is stopped halfway is not kept."""
    directory = RunDirectory(output.json, number)
    shown = output.shows_report
    runs: list[RunResult] = []
    code = 0
    with stoppable() as stop:
        for at in range(1, number + 1):
            with progress_on(output, request, f"run {at} of {number}") as progress:
                run = once(stop, progress)
            code = max(code, exit_code(run))
            if run.interrupted:
                break
            directory.write(at, run)
            runs.append(run)
            if shown:
                _tell(run, at, number)
    if shown:
        _sum_up(runs, number)
    return code


def _tell(run: RunResult, at: int, number: int) -> None:
    from estab.report.repeats import render_run

    render_run(run, at, number, console())
    sys.stdout.flush()


def _sum_up(runs: list[RunResult], number: int) -> None:
    from estab.api.compare import spread
    from estab.report.repeats import render_repeats

    render_repeats(runs, spread(runs), number, console())
    sys.stdout.flush()
