"""The ledger: every suspect that is not the cause, one short line each, grouped by verdict."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from estab.records import Suspect, Verdict
from estab.report.layout import heading, indented
from estab.report.words import clean

ORDER: tuple[tuple[Verdict, str, str], ...] = (
    ("confirmed", "confirmed", "red"),
    ("possible", "possible", "yellow"),
    ("ruled_out", "ruled out", "green"),
    ("not_observed", "not observed", "dim"),
)


def ledger(suspects: list[Suspect], title: str) -> Iterator[RenderableType]:
    """A heading and the table; nothing at all where there is no suspect."""
    if suspects:
        yield heading(title)
        yield _table(suspects)


def _table(suspects: list[Suspect]) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for verdict, words, style in ORDER:
        label = words
        for suspect in (s for s in suspects if s.verdict == verdict):
            text = Text(clean(suspect.cause))
            text.append(f"  {clean(suspect.summary)}", style="dim")
            table.add_row(Text(label, style=style), text)
            label = ""
    return indented(table)
