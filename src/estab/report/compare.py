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


def render_comparison(comparison: Comparison, console: Console) -> None:
    """Prints the whole comparison, no line longer than the console is wide and none with blanks at its end."""
    print_trimmed(console, *_parts(comparison, glyphs_for(console)))


def _parts(comparison: Comparison, glyphs: Glyphs) -> Iterator[RenderableType]:
    yield _sides(comparison)
    if comparison.differences:
        yield heading("Setup differs")
        yield indented(_differences(comparison))
    for note in comparison.notes:
        yield line("")
        yield line(clean(note), style="yellow")
    repeats = max(comparison.a.runs, comparison.b.runs) > 1
    yield heading("Side by side, medians of the runs" if repeats else "Side by side")
    yield _figures(comparison, glyphs)
    yield from _all_values(comparison, glyphs)
    yield heading("In short")
    yield indented(line(summary(comparison)))
    yield from _gate(comparison, glyphs)


def _sides(comparison: Comparison) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for name, sample in (("A", comparison.a), ("B", comparison.b)):
        table.add_row(Text(name, style="bold"), Text(clean(sample.name)), Text(side(sample), style="dim"))
    return table


def _differences(comparison: Comparison) -> Table:
    table = columns(header=True)
    for title in ("", "A", "B"):
        table.add_column(title, overflow="fold")
    for difference in comparison.differences:
        table.add_row(
            Text(clean(difference.what.replace("_", " "))), Text(clean(difference.a)), Text(clean(difference.b))
        )
    return table


def _figures(comparison: Comparison, glyphs: Glyphs) -> Table:
    tested = min(comparison.a.runs, comparison.b.runs) > 1
    table = columns(header=True)
    table.add_column("", overflow="fold")
    for title in ("A", "B", "change"):
        table.add_column(title, justify="right", no_wrap=True)
    if tested:
        table.add_column("95% interval", no_wrap=True)
        table.add_column("beyond noise?", no_wrap=True)
    for title, figures in sections(comparison):
        table.add_row(Text(title, style="bold dim"))
        for figure in figures:
            table.add_row(*_row(figure, glyphs, tested))
    return table


def _row(figure: Figure, glyphs: Glyphs, tested: bool) -> list[Text]:
    style = "bold red" if worse(figure) else "green" if better(figure) else "bold" if told_apart(figure) else ""
    amounts = [Text(value(figure, amount, glyphs.micro)) for amount in (figure.a, figure.b)]
    row = [Text(" " + label(figure)), *amounts, Text(change(figure), style=style)]
    return [*row, Text(interval(figure), style="dim"), Text(noise(figure), style=style)] if tested else row


def _all_values(comparison: Comparison, glyphs: Glyphs) -> Iterator[RenderableType]:
    """The percentiles of all values of a side together: of the request where one was asked, else of the connect."""
    known = [figure for figure in comparison.figures if figure.a_all or figure.b_all]
    asked = [figure for figure in known if figure.name.startswith("request.")] or known
    if not asked:
        return
    repeats = max(comparison.a.runs, comparison.b.runs) > 1
    yield heading("All values of all runs together" if repeats else "How sure the percentiles are")
    table = columns(header=True)
    table.add_column("")
    table.add_column("A (95% of sampling)", justify="right", no_wrap=True)
    table.add_column("B (95% of sampling)", justify="right", no_wrap=True)
    for figure in asked:
        table.add_row(
            label(figure), pooled(figure, figure.a_all, glyphs.micro), pooled(figure, figure.b_all, glyphs.micro)
        )
    yield indented(table)
    yield indented(line("Sampling error alone, for values that do not depend on each other.", style="dim"))


def _gate(comparison: Comparison, glyphs: Glyphs) -> Iterator[RenderableType]:
    if not comparison.gate:
        return
    fired = sum(term.fired for term in comparison.gate)
    title = heading("Gate  ")
    title.append(
        f"fails, {fired} of {len(comparison.gate)}" if fired else "passes", style="bold red" if fired else "green"
    )
    yield title
    for term in comparison.gate:
        style = "bold red" if term.fired else "dim"
        sign = "!" if term.fired else glyphs.bullet
        yield hanging(sign, Text.assemble((clean(term.term), style), "  ", clean(term.reason)))
