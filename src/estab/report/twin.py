"""What a twin showed, on the terminal: how near it came, the verdict, each remedy before and after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from estab.report.layout import Glyphs, columns, glyphs_for, hanging, heading, indented, line
from estab.report.trimmed import print_trimmed
from estab.report.words import DASH, clean, seconds

if TYPE_CHECKING:  # the lab stands above reports
    from estab.records.twin import TwinRemedy, TwinResult, TwinRow

_NEVER_SAID = "no cause"


def render_twin(result: TwinResult, console: Console) -> None:
    """Prints the whole result; one that was interrupted as far as it came."""
    print_trimmed(console, *_parts(result, glyphs_for(console)))


def _parts(result: TwinResult, glyphs: Glyphs) -> Iterator[RenderableType]:
    size = "" if result.scale == 1 else f", everything times {result.scale:g}"
    yield line(f"The twin of {clean(result.file)}{size}", "bold")
    for title, said in (
        ("Rebuilt", result.built),
        ("Taken for granted", result.assumed),
        ("Can't be isolated", result.not_isolated),
    ):
        if said:
            yield heading(title)
            for text in said:
                yield hanging(glyphs.bullet, Text(clean(text)))
    if result.rows:
        yield heading("How near it came")
        yield indented(figures(result))
        yield heading("Verdict")
        yield indented(_verdict(result))
    if result.remedies:
        yield heading("Remedies, each on the twin")
        yield indented(line(f"before: {clean(result.before)}"))
        for remedy in result.remedies:
            yield hanging(glyphs.bullet, _remedy(remedy))
    yield line("")
    yield line(end(result, glyphs), "bold")


def figures(result: TwinResult, most: int | None = None) -> Table:
    """As recorded, as the twin showed it, how far apart: all figures, or the first so many."""
    table = columns(header=True)
    table.add_column("")
    for name in ("recorded" if result.scale == 1 else "recorded, scaled", "twin", "difference"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in result.rows[:most]:
        table.add_row(Text(clean(row.what)), _figure(row.recorded), _figure(row.twin), _difference(row))
    return table


def _figure(value: float | None) -> str:
    if value is None:
        return "not seen"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def _difference(row: TwinRow) -> Text:
    if row.percent is None:
        return Text(DASH, style="dim")
    return Text("none" if row.percent == 0 else f"{row.percent:+.1f}%", style="" if abs(row.percent) <= 10 else "bold")


def _verdict(result: TwinResult) -> Text:
    there, here = result.recorded_cause or _NEVER_SAID, result.cause or _NEVER_SAID
    if result.same_cause and result.cause is None:
        return Text(f"no cause, neither in the record nor in the twin. {clean(result.summary)}")
    if result.same_cause:
        return Text.assemble("same cause: ", (here, "bold green"), f". {clean(result.summary)}")
    said = f" in the twin, {there} in the record: what it shows of remedies would prove nothing, so none was tried. "
    return Text.assemble((here, "bold red"), said, clean(result.summary))


def _remedy(tried: TwinRemedy) -> Text:
    mark, style = outcome(tried)
    parts: list[str | tuple[str, str]] = [(f"{mark}: ", style), clean(tried.command)]
    if not tried.after:
        parts.append((f"\n{clean(tried.did)}", "dim"))
    else:
        left = f"; {tried.left} is left" if tried.left else ""
        did = f"{tried.did}, and {tried.too}" if tried.too else tried.did
        parts += [(f"\n{clean(did)}", "dim"), (f"\nafter: {clean(tried.after)}{left}", "")]
    return Text.assemble(*parts)


def outcome(tried: TwinRemedy) -> tuple[str, str]:
    """What a remedy did on the twin, in words, and the style of that."""
    if tried.came == "works":
        return ("works", "green") if tried.claimed else ("works here, though estab says it does nothing", "bold red")
    if tried.came == "works_with":
        return f"works, with {clean(tried.too)}", "green"
    if tried.came == "looks":
        return "to look with, nothing to prove", "dim"
    if tried.came in ("not_expressed", "not_tried"):
        return "not proved, not in the twin" if tried.claimed else "not in the twin", "yellow"
    said = "helps, does not fix it" if tried.came == "helps" else "does nothing"
    return (f"not proved, {said} here", "bold red") if tried.claimed else (said, "yellow")


def end(result: TwinResult, glyphs: Glyphs) -> str:
    """How many remedies were proved and shown to do nothing, who ran it, and how long that took."""
    proved = sum(tried.came in ("works", "works_with") for tried in result.remedies)
    shown = sum(tried.came in ("does_nothing", "helps") for tried in result.remedies)
    looks = sum(tried.came == "looks" for tried in result.remedies)
    unsaid = len(result.remedies) - proved - shown - looks
    who = "as root" if result.euid == 0 else "without root, in a user namespace"
    stopped = "interrupted; " if result.interrupted else ""
    said = (
        f"{proved} proved to work, {shown} shown not to fix it, {unsaid} not in the twin"
        if result.remedies
        else "no remedy tried"
    )
    return f"{stopped}{said}; {who}, in {seconds(result.seconds, glyphs.micro)}."
