"""The few shapes that the text report is made of, and the glyphs that it may use on this console."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

INDENT = 2


@dataclass(frozen=True)
class Glyphs:
    """Signs for a console that writes Unicode, or ASCII where its encoding has no more."""

    bar: str
    bullet: str
    dot: str
    micro: str


UNICODE = Glyphs(bar="█", bullet="•", dot=" · ", micro="µs")
ASCII = Glyphs(bar="#", bullet="-", dot=", ", micro="us")


def glyphs_for(console: Console) -> Glyphs:
    """ASCII where the console's encoding is not a Unicode one (`LC_ALL=C`, a Windows code page)."""
    return ASCII if console.options.ascii_only else UNICODE


def heading(text: str) -> Text:
    """A section's name, with an empty line before it."""
    return Text("\n" + text, style="bold")


def line(text: str, style: str = "") -> Text:
    """One line of plain text: nothing in it is markup."""
    return Text(text, style=style)


def columns(header: bool = False) -> Table:
    """A table without lines, as wide as its content."""
    return Table(box=None, show_header=header, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)


def pairs(said: Iterable[tuple[str, str]]) -> Table:
    """Names and what is said of each, in two columns."""
    table = columns()
    table.add_column(no_wrap=True, style="dim")
    table.add_column()
    for name, text in said:
        table.add_row(name, Text(text))
    return table


def indented(inner: RenderableType, by: int = INDENT) -> Padding:
    """What wraps within its indentation."""
    return Padding(inner, (0, 0, 0, by))


def hanging(sign: str, text: Text, by: int = INDENT) -> Padding:
    """Text after a sign; what wraps stands under the text."""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_row(sign, text)
    return Padding(table, (0, 0, 0, by))
