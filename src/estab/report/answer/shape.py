"""The shapes of an answer: a headline with its mark, rows with a label, cells side by side. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from estab.report.layout import INDENT, Glyphs, beside, hanging
from estab.report.words import clean

Tone = Literal["good", "bad", "unsure"]
STYLES: dict[Tone, str] = {"good": "bold green", "bad": "bold red", "unsure": "bold yellow"}
LABEL_WIDTH = 8
WIDTH = 80  # what is cut is cut for a terminal of this width, however wide it is
ROOM = WIDTH - LABEL_WIDTH - 3
Row = tuple[str, Text]
_SYSCTL = "sysctl -w "


def mark(tone: Tone, glyphs: Glyphs) -> str:
    """The sign before a headline."""
    return {"good": glyphs.good, "bad": glyphs.bad, "unsure": glyphs.unsure}[tone]


def headline(tone: Tone, name: str, text: str, glyphs: Glyphs) -> RenderableType:
    """`✗ name: text`, wrapped beneath itself; `name` may be empty."""
    said = Text.assemble((f"{name}: " if name else "", STYLES[tone]), (text, "" if name else "bold"))
    return hanging(mark(tone, glyphs), said, by=0, style=STYLES[tone])


def plain_headline(tone: Tone, name: str, text: str, glyphs: Glyphs) -> str:
    """The same as one line of text, whatever its length."""
    return f"{mark(tone, glyphs)} {name}: {text}" if name else f"{mark(tone, glyphs)} {text}"


def rows(given: Iterable[Row]) -> Iterator[RenderableType]:
    """Rows beneath a headline, each with its label; one without a text is left out."""
    for label, text in given:
        if text.plain:
            yield beside([(Text(label.ljust(LABEL_WIDTH), style="dim"), text)], gap=1, indent=INDENT)


def lines_of(text: str) -> int:
    """About how many lines of a row `text` takes."""
    return 1 + (cell_len(text) - 1) // ROOM


def cut(text: str, lines: int, glyphs: Glyphs) -> str:
    """`text` in one line without control characters, cut to about so many lines of a row."""
    words, room = clean(text), lines * ROOM
    return words if cell_len(words) <= room else words[: room - len(glyphs.cut)].rstrip() + glyphs.cut


def joined(texts: Sequence[str], lines: int, glyphs: Glyphs, columns: int = ROOM) -> str:
    """As many whole texts side by side as so many lines hold, then how many are left for -v."""
    room = lines * columns
    for taken in range(len(texts), 0, -1):
        left = len(texts) - taken
        more = [f"{left} more (-v)"] if left else []
        said = glyphs.dot.join([*map(clean, texts[:taken]), *more])
        if cell_len(said) <= room or taken == 1:
            return said if taken > 1 else cut(said, lines, glyphs)
    return ""


def side_by_side(cells: Sequence[Text], width: int) -> list[Text]:
    """Cells two blanks apart, each whole, on as few lines as `width` allows."""
    lines: list[Text] = []
    for cell in cells:
        if lines and lines[-1].cell_len + 2 + cell.cell_len <= width:
            lines[-1].append("  ").append_text(cell)
        else:
            lines.append(cell.copy())
    return lines


def lowered(sentence: str) -> str:
    """A sentence as it goes on after a colon: its first word small, unless that is a name."""
    first = sentence.partition(" ")[0]
    plain = len(first) == 1 or first.removesuffix("'s")[1:].islower()
    return sentence[:1].lower() + sentence[1:] if plain and first.isascii() else sentence


def short(command: str) -> str:
    """A sysctl by its last name: nobody is to type what does nothing."""
    if not command.startswith(_SYSCTL):
        return command
    key, sign, value = command.removeprefix(_SYSCTL).partition("=")
    return key.rpartition(".")[2] + sign + value
