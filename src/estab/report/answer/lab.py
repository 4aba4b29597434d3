"""A scenario of the lab on one screen: predicted beside measured, the verdict, what works and what does nothing."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.text import Text

from estab.records.lab import LabResult, LabRow, LabScenario
from estab.report.answer.shape import STYLES, Row, Tone, cut, headline, joined, lowered, mark, rows, short
from estab.report.lab import SAID, ceilings, end, render_caveats
from estab.report.layout import Glyphs, columns, glyphs_for, indented, line
from estab.report.trimmed import print_trimmed
from estab.report.words import clean
from estab.words import plural

_ROWS = 5
_TONES: dict[str, Tone] = {"as_predicted": "good", "differs": "bad", "failed": "bad", "cannot_run": "unsure"}


def answer_scenario(done: LabScenario, console: Console, *, alone: bool) -> None:
    """Prints a scenario as soon as it is over: a screen where it is `alone` or went wrong, else a line."""
    glyphs = glyphs_for(console)
    print_trimmed(console, *_screen(done, glyphs) if alone or _TONES[done.status] == "bad" else [_line(done, glyphs)])


def answer_end(result: LabResult, console: Console) -> None:
    """Prints what all of them came to."""
    render_caveats(result, console)
    print_trimmed(console, line(end(result, glyphs_for(console)), "bold"))


def brief_lab(result: LabResult, glyphs: Glyphs) -> str:
    """All of it in one line: what a single scenario showed, or the names of those that differ."""
    if len(result.scenarios) == 1:
        (done,) = result.scenarios
        showed = lowered(clean(done.why or done.summary or done.symptom))
        return f"{mark(_TONES[done.status], glyphs)} {done.name}, {SAID[done.status][0]}: {showed}"
    wrong = [done.name for done in result.scenarios if _TONES[done.status] == "bad"]
    named = f" Not as predicted: {', '.join(wrong)}." if wrong else ""
    return f"{mark('bad' if wrong else 'good', glyphs)} {end(result, glyphs)}{named}"


def _line(done: LabScenario, glyphs: Glyphs) -> Text:
    tone = _TONES[done.status]
    agree, held = sum(row.agrees for row in done.rows), _held(done)
    parts = [SAID[done.status][0]]
    parts += [f"{agree} of {plural(len(done.rows), 'figure')}"] if done.rows else []
    parts += [f"{held} of {len(done.remedies)} remedies"] if done.remedies else []
    parts += [clean(done.why)] if done.why else [f"{done.seconds:.1f} s"]
    said = cut(glyphs.dot.join(parts), 1, glyphs)
    return Text.assemble((f"{mark(tone, glyphs)} ", STYLES[tone]), (f"{done.name}  ", "bold"), said)


def _held(done: LabScenario) -> int:
    return sum(remedy.works == remedy.claimed for remedy in done.remedies)


def _screen(done: LabScenario, glyphs: Glyphs) -> Iterator[RenderableType]:
    yield headline(_TONES[done.status], f"{done.name}, {SAID[done.status][0]}", lowered(clean(done.symptom)), glyphs)
    if done.why:
        yield indented(line(clean(done.why)))
    if done.ceilings:
        yield indented(ceilings(done))
    else:
        yield from _figures(done.rows)
    yield from rows(_rows(done, glyphs))


def _figures(given: list[LabRow]) -> Iterator[RenderableType]:
    """Those that differ first, for they are what one looks for."""
    if not given:
        return
    shown = sorted(given, key=lambda row: row.agrees)[: max(_ROWS, sum(not row.agrees for row in given))]
    table = columns(header=True)
    table.add_column("")
    for name in ("predicted", "measured"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for row in shown:
        differs = Text("" if row.agrees else "differs", style="bold red")
        table.add_row(Text(clean(row.what)), Text(clean(row.predicted)), Text(clean(row.measured)), differs)
    yield indented(table)
    if len(given) > len(shown):
        yield indented(line(f"{len(given) - len(shown)} more, as predicted (-v)", "dim"))


def _rows(done: LabScenario, glyphs: Glyphs) -> Iterator[Row]:
    if done.status in ("as_predicted", "differs") and (done.cause or done.expected or done.summary):
        yield "Verdict", _verdict(done, glyphs)
    works = [remedy for remedy in done.remedies if remedy.works]
    nothing = [remedy for remedy in done.remedies if remedy.works is False]
    yield "Works", Text(joined([remedy.command for remedy in works], 3, glyphs), style="green")
    yield "Not", Text(joined([short(remedy.command) for remedy in nothing], 2, glyphs), style="yellow")
    wrong = [remedy for remedy in done.remedies if remedy.works is not None and remedy.works != remedy.claimed]
    yield "But", Text(joined([_contradicted(r.command, r.claimed) for r in wrong], 3, glyphs), style="bold red")
    if untried := len(done.remedies) - len(works) - len(nothing):
        yield "", Text(f"{untried} more can't be tried in two namespaces (-v)", style="dim")
    if done.control_ran:
        accused = ", ".join(done.accused_in_control)
        text = f"the healthy run beside it: {f'accused {accused}' if accused else 'no false alarm'}"
        yield "Control", Text(text, style="bold red" if accused else "")
    for path in done.captures[:1]:
        more = f" and {len(done.captures) - 1} more" if len(done.captures) > 1 else ""
        yield "Capture", Text(f"{clean(path)}{more}", style="dim")


def _contradicted(command: str, claimed: bool) -> str:
    return f"estab says that this {'works' if claimed else 'does nothing'}: {command}"


def _verdict(done: LabScenario, glyphs: Glyphs) -> Text:
    expected, got = done.expected or "no cause", done.cause or "no cause"
    if expected == got:
        return Text.assemble((got, "bold"), f", as expected. {cut(done.summary, 2, glyphs)}")
    if done.only_possible:
        return Text.assemble((expected, "bold"), f" is possible, which is right here: {clean(done.only_possible)}.")
    return Text.assemble((f"{got}, expected {expected}", "bold red"), f". {cut(done.summary, 2, glyphs)}")
