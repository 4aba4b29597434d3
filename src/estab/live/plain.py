"""The view as plain lines, for `--once`: as wide as the terminal is, and in a pipe nothing is cut off."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from estab.live import panels
from estab.live.arrange import downwards
from estab.live.columns import Line, fit, heading, line
from estab.live.view import HostView, ListenerRow
from estab.report.layout import glyphs_for
from estab.words import plural

PIPE_WIDTH = 180
_MOST_TARGETS = 10


def render(view: HostView, rows: Sequence[ListenerRow], console: Console, *, by: str = "state") -> None:
    """Prints totals, the verdict, every row and the busiest targets on `console`, no line longer than it is wide."""
    known = console.file.isatty() or "COLUMNS" in os.environ
    width = console.width if known else PIPE_WIDTH
    glyphs = glyphs_for(console)
    placed = fit(width, view, trend=False)  # of two looks there is none
    parts = [panels.sockets(view.totals), panels.changes(view.totals), panels.conntrack(view.totals, glyphs)]
    if not any(column.column.name == "says" for column in placed) and (worst := panels.worst(rows)):
        parts.append(worst)
    parts.append(panels.verdict(view.verdict))
    if unobserved := panels.unobserved(view):
        parts.append(unobserved)
    if known:
        parts = [line for part in parts for line in _folded(part, width, console)]
    parts += [Text(""), _styled(heading(placed, by, downwards(by)))]
    parts += [_styled(line(row, placed, glyphs)) for row in rows]
    if not rows:
        parts.append(Text(_nothing(view), style="dim"))
    parts += [Text(""), *panels.ports(view, _MOST_TARGETS, glyphs, width)]
    for part in parts:
        if known:
            part.truncate(width)
        part.rstrip()
        console.print(part, soft_wrap=True, highlight=False)


def _folded(part: Text, width: int, console: Console) -> Iterator[Text]:
    """What finds no room after a label goes on beneath, each line under the first."""
    name, said = part.divide([panels.LABEL])
    for number, folded in enumerate(said.wrap(console, max(1, width - panels.LABEL))):
        yield (Text(" " * panels.LABEL) if number else name) + folded


def _nothing(view: HostView) -> str:
    if view.rows:
        return f"{plural(len(view.rows), 'listener')}, none of which the filter lets pass"
    return "nothing listens here"


def _styled(styled: Line) -> Text:
    text = Text()
    for part, style in styled:
        text.append(part, style=style)
    return text
