"""Showing: a load's progress, the report on stdout, JSON where it was asked for, and the exit code."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from estab.cli.live_block import Draw, glyphs, live_block, may_ever_draw
from estab.cli.output_file import OutputFile

if TYPE_CHECKING:
    from rich.console import Console

    from estab.api.recorder import Progress, ProgressCallback
    from estab.api.request import LoadRequest
    from estab.cli.options import OutputFlags, ReportFlags
    from estab.load.conductor import Stop
    from estab.records import Record, RunResult
    from estab.report.layout import Glyphs
    from estab.report.progress import LoadProgress, SearchProgress

_AGAIN_S = 3.0
OK, FAILED, USAGE, MACHINE, INTERRUPTED = 0, 1, 2, 3, 130


def exit_code(run: RunResult) -> int:
    """0 nothing went wrong; 1 connections failed or a limit was met; 130 interrupted."""
    if run.interrupted:
        return INTERRUPTED
    failed = run.failures or (run.probes is not None and run.probes.failed)
    return FAILED if failed or run.cause is not None or run.lost_workers else OK


@contextlib.contextmanager
def stoppable(given: Stop | None = None) -> Iterator[Stop]:
    """A stop (one that is `given`, or a new one) that Ctrl-C, SIGTERM and a terminal that hangs up ask for while the
    block lasts; not so under nohup.

    Who presses Ctrl-C once more, three seconds later, waits for something that does not end, as a pipe that nobody
    reads: then it ends by whatever Ctrl-C did before the block.
    """
    from estab.load.conductor import Stop

    with contextlib.nullcontext(given) if given is not None else Stop() as stop:
        asked_s: float | None = None

        def handle(number: int, frame: FrameType | None) -> None:
            nonlocal asked_s
            now_s = time.monotonic()
            if asked_s is None or number != signal.SIGINT or now_s - asked_s < _AGAIN_S:
                asked_s = now_s if asked_s is None else asked_s
                stop.set()
            elif callable(insisted := before[signal.SIGINT]):
                insisted(number, frame)

        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield stop
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def progress_on(output: OutputFlags, request: LoadRequest, before: str = "") -> Iterator[ProgressCallback]:
    """The progress of a load, drawn on a terminal's stderr; `before` stands first, as `run 2 of 5`."""
    if not may_ever_draw(output):
        yield lambda _progress: None
        return
    with live_block(output) as draw:
        yield telling(draw, load_progress(request, before))


def load_progress(request: LoadRequest, before: str = "") -> LoadProgress:
    """What draws the progress of this load."""
    from estab.api.churn import ChurnRequest
    from estab.report.progress import LoadProgress

    title = f"{before}, {request.command}" if before else request.command
    wanted = request.attempts if isinstance(request, ChurnRequest) else request.connections
    return LoadProgress(title, request.command, wanted, request.duration_s)


def telling(draw: Draw, shown: LoadProgress | SearchProgress) -> ProgressCallback:
    """What takes a load's progress and draws it."""
    signs = glyphs()

    def tell(progress: Progress) -> None:
        draw(shown.lines(progress.stage, progress.point, progress.closed, signs))

    return tell


class JsonFile:
    """Where --json goes, checked before the run."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self._file = OutputFile("--json", path)

    def write(self, record: Record) -> None:
        """Writes the record and a newline."""
        if self.path is not None:
            from estab.records import encode

            self._file.write(encode(record) + b"\n")


def console(quiet: bool = False, *, stderr: bool = False) -> Console:
    """What reports are printed on. A pipe that is closed early raises BrokenPipeError; rich would exit silently."""
    from rich.console import Console

    class PipeConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return PipeConsole(quiet=quiet, stderr=stderr)


def show(
    output: ReportFlags,
    brief: Callable[[Glyphs], str],
    answer: Callable[[Console], None],
    full: Callable[[Console], None],
    *,
    stderr: bool = False,
) -> None:
    """Prints as much of a result as was asked for: a line, the answer, or everything."""
    if not output.shows_report:
        return
    printer = console(stderr=stderr)
    if output.brief:
        from rich.text import Text

        from estab.report.layout import glyphs_for

        printer.print(Text(brief(glyphs_for(printer))), soft_wrap=True)
    elif output.verbose:
        full(printer)
    else:
        answer(printer)
    sys.stdout.flush()


def finish(run: RunResult, output: ReportFlags, target: JsonFile) -> int:
    """Shows a finished run as was asked. Returns the exit code."""
    from estab.report.answer.run import answer_run, brief_run
    from estab.report.text import render

    target.write(run)
    hint = "" if target.path is None else f"estab report {target.path}"
    show(output, partial(brief_run, run), partial(answer_run, run, hint=hint), partial(render, run))
    return exit_code(run)
