"""A comparison on the terminal: both sides, what was not alike, the figures, the gate. Reads well in 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from estab.records.comparison import Comparison, Figure
from estab.report.compare_words import (
    better,
    change,
    interval,
    label,
    noise,
    pooled,
    sections,
    side,
    summary,
    told_apart,
    value,
    worse,
)
from estab.report.layout import Glyphs, columns, glyphs_for, hanging, heading, indented, line
from estab.report.trimmed import print_trimmed
from estab.report.words import clean


def render_comparison(found: Comparison, console: Console) -> None:
    """Prints the whole comparison, no line longer than the console is wide and none with blanks at its end."""
    for part in _parts(found, glyphs_for(console)):
        print_trimmed(console, part)


def _parts(found: Comparison, glyphs: Glyphs) -> Iterator[RenderableType]:
    yield _sides(found)
    if found.differences:
        yield heading("Not alike")
        yield indented(_differences(found))
    for note in found.notes:
        yield line("")
        yield line(clean(note), style="yellow")
    repeats = max(found.a.runs, found.b.runs) > 1
    yield heading("Side by side, medians of the runs" if repeats else "Side by side")
    yield _figures(found, glyphs)
    yield from _all_values(found, glyphs)
    yield heading("In short")
    yield indented(line(summary(found)))
    yield from _gate(found, glyphs)


def _sides(found: Comparison) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for name, sample in (("A", found.a), ("B", found.b)):
        table.add_row(Text(name, style="bold"), Text(clean(sample.name)), Text(side(sample), style="dim"))
    return table


def _differences(found: Comparison) -> Table:
    table = columns(header=True)
    for title in ("", "A", "B"):
        table.add_column(title, overflow="fold")
    for one in found.differences:
        table.add_row(Text(clean(one.what.replace("_", " "))), Text(clean(one.a)), Text(clean(one.b)))
    return table


def _figures(found: Comparison, glyphs: Glyphs) -> Table:
    tested = min(found.a.runs, found.b.runs) > 1
    table = columns(header=True)
    table.add_column("", overflow="fold")
    for title in ("A", "B", "change"):
        table.add_column(title, justify="right", no_wrap=True)
    if tested:
        table.add_column("95% interval", no_wrap=True)
        table.add_column("beyond noise?", no_wrap=True)
    for title, figures in sections(found):
        table.add_row(Text(title, style="bold dim"))
        for one in figures:
            table.add_row(*_row(one, glyphs, tested))
    return table


def _row(one: Figure, glyphs: Glyphs, tested: bool) -> list[Text]:
    style = "bold red" if worse(one) else "green" if better(one) else "bold" if told_apart(one) else ""
    amounts = [Text(value(one, amount, glyphs.micro)) for amount in (one.a, one.b)]
    row = [Text(" " + label(one)), *amounts, Text(change(one), style=style)]
    return [*row, Text(interval(one), style="dim"), Text(noise(one), style=style)] if tested else row


def _all_values(found: Comparison, glyphs: Glyphs) -> Iterator[RenderableType]:
    """The percentiles of all values of a side together: of the request where one was asked, else of the connect."""
    known = [one for one in found.figures if one.a_all or one.b_all]
    asked = [one for one in known if one.name.startswith("request.")] or known
    if not asked:
        return
    repeats = max(found.a.runs, found.b.runs) > 1
    yield heading("All values of all runs together" if repeats else "How sure the percentiles are")
    table = columns(header=True)
    table.add_column("")
    table.add_column("A (95% of sampling)", justify="right", no_wrap=True)
    table.add_column("B (95% of sampling)", justify="right", no_wrap=True)
    for one in asked:
        table.add_row(label(one), pooled(one, one.a_all, glyphs.micro), pooled(one, one.b_all, glyphs.micro))
    yield indented(table)
    yield indented(line("Sampling error alone, for values that do not depend on each other.", style="dim"))


def _gate(found: Comparison, glyphs: Glyphs) -> Iterator[RenderableType]:
    if not found.gate:
        return
    fired = sum(one.fired for one in found.gate)
    title = heading("Gate  ")
    title.append(f"fails, {fired} of {len(found.gate)}" if fired else "passes", style="bold red" if fired else "green")
    yield title
    for one in found.gate:
        style = "bold red" if one.fired else "dim"
        sign = "!" if one.fired else glyphs.bullet
        yield hanging(sign, Text.assemble((clean(one.term), style), "  ", clean(one.reason)))
