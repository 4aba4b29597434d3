"""What a server of ours saw, in a line."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.text import Text

from estab.kernel.rules import accept_queue
from estab.records import RunResult
from estab.report.answer.shape import STYLES, Tone, mark, side_by_side
from estab.report.layout import Glyphs, glyphs_for, indented
from estab.report.trimmed import print_trimmed
from estab.report.words import clean, count, seconds
from estab.words import places, plural


def answer_serve(run: RunResult, console: Console) -> None:
    """Prints the answer."""
    print_trimmed(console, *_parts(run, console.width, glyphs_for(console)))


def brief_serve(run: RunResult, glyphs: Glyphs) -> str:
    """The answer in one line, whatever its length."""
    return f"{mark(_tone(run), glyphs)} {', '.join(_said(run))}"


def _tone(run: RunResult) -> Tone:
    if run.failures or run.lost_workers:
        return "bad"
    return "unsure" if run.server.listener is not None and run.server.listener.drops else "good"


def _parts(run: RunResult, width: int, glyphs: Glyphs) -> Iterator[RenderableType]:
    tone = _tone(run)
    first, *more = side_by_side([Text(part) for part in _said(run)], width - 2)
    yield Text.assemble((f"{mark(tone, glyphs)} ", STYLES[tone]), first)
    yield from map(indented, more)


def _said(run: RunResult) -> Iterator[str]:
    yield f"{count(run.funnel.accepted)} accepted"
    yield f"{count(run.funnel.completed)} closed"
    listener = run.server.listener
    if listener is not None:
        yield f"queue {places(listener.worst_depth, accept_queue.room(listener.limit))} at worst"
        if listener.drops:
            yield plural(listener.drops, "drop")
    for failure in run.failures:
        yield f"{count(failure.count)} {clean(failure.kind.words)}"
    yield f"stopped after {seconds(run.elapsed_s)}"
