"""A twin on one screen: whether it shows the same cause, how near it came, and which remedies it proved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.text import Text

from estab.report.answer.shape import Row, Tone, cut, headline, joined, lowered, plain_headline, rows, short
from estab.report.layout import Glyphs, glyphs_for, indented, line
from estab.report.trimmed import print_trimmed
from estab.report.twin import end, figures, outcome
from estab.report.words import clean
from estab.words import plural

if TYPE_CHECKING:  # the lab stands above reports
    from estab.records.twin import TwinResult

_ROWS = 5


def answer_twin(result: TwinResult, console: Console) -> None:
    """Prints the answer; of a twin that was interrupted as far as it came."""
    print_trimmed(console, *_parts(result, glyphs_for(console)))


def brief_twin(result: TwinResult, glyphs: Glyphs) -> str:
    """The answer in one line."""
    return f"{plain_headline(*_verdict(result), glyphs)} {end(result, glyphs)}"


def _verdict(result: TwinResult) -> tuple[Tone, str, str]:
    there, here = clean(result.recorded_cause or "no cause"), clean(result.cause or "no cause")
    if not result.rows:
        return "unsure", "no twin", end_early(result)
    if result.same_cause:
        return "good", f"the twin shows the same, {here}", lowered(clean(result.summary))
    said = f"the record shows {there}, so no remedy was tried: it would prove nothing. {clean(result.summary)}"
    return "bad", f"the twin shows {here}", said


def end_early(result: TwinResult) -> str:
    """Why there is nothing to compare."""
    return "interrupted before it ran." if result.interrupted else "it did not run."


def _parts(result: TwinResult, glyphs: Glyphs) -> Iterator[RenderableType]:
    yield headline(*_verdict(result), glyphs)
    if result.rows:
        yield indented(figures(result, _ROWS))
    if len(result.rows) > _ROWS:
        yield indented(line(f"{len(result.rows) - _ROWS} more (-v)", "dim"))
    yield from rows(_rows(result, glyphs))
    yield line(end(result, glyphs), "bold")


def _rows(result: TwinResult, glyphs: Glyphs) -> Iterator[Row]:
    proved = [r.command for r in result.remedies if r.came in ("works", "works_with") and r.claimed]
    nothing = [short(r.command) for r in result.remedies if r.came in ("does_nothing", "helps") and not r.claimed]
    wrong = [f"{outcome(r)[0]}: {r.command}" for r in result.remedies if outcome(r)[1] == "bold red"]
    yield "Works", Text(joined(proved, 3, glyphs), style="green")
    yield "Not", Text(joined(nothing, 2, glyphs), style="yellow")
    yield "But", Text(joined(wrong, 3, glyphs), style="bold red")
    if result.remedies:
        yield "Before", Text(cut(result.before, 1, glyphs))
    size = "" if result.scale == 1 else f", everything times {result.scale:g}"
    assumed = len(result.assumed) + len(result.not_isolated)
    parts = [clean(result.file) + size]
    parts += [f"{plural(assumed, 'assumption')} (-v)"] if assumed else []
    yield "Of", Text(joined(parts, 1, glyphs), style="dim")
