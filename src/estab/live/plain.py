"""The view as plain lines, for `--once`: a terminal as wide as it is, and a pipe that cuts nothing off."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from estab.live import panels
from estab.live.arrange import downwards
from estab.live.columns import ASCII, UNICODE, Line, fit, heading, line
from estab.live.view import HostView, ListenerRow
from estab.report.words import plural

PIPE_WIDTH = 180
_MOST_TARGETS = 10


def render(view: HostView, rows: Sequence[ListenerRow], console: Console, *, by: str = "state") -> None:
    """Prints totals, the verdict, every row and the busiest targets on `console`."""
    asked = console.file.isatty() or "COLUMNS" in os.environ
    width = console.width if asked else PIPE_WIDTH
    signs = ASCII if console.options.ascii_only else UNICODE
    columns = fit(width, namespaces=len(view.namespaces) > 1)
    parts = [panels.sockets(view.totals), panels.changes(view.totals), panels.conntrack(view.totals, signs)]
    if not any(placed.column.name == "says" for placed in columns) and (worst := panels.worst(rows)):
        parts.append(worst)
    parts.append(panels.verdict(view.verdict))
    if unobserved := panels.unobserved(view):
        parts.append(unobserved)
    parts += [Text(""), _styled(heading(columns, by, downwards(by)))]
    parts += [_styled(line(row, columns, signs)) for row in rows]
    if not rows:
        parts.append(Text(_nothing(view), style="dim"))
    parts += [Text(""), *panels.ports(view, _MOST_TARGETS, signs, width)]
    for part in parts:
        part.rstrip()
        console.print(part, soft_wrap=not asked or len(part) > width, highlight=False)


def _nothing(view: HostView) -> str:
    if view.rows:
        return f"{plural(len(view.rows), 'listener')}, none of which the filter lets pass"
    return "nothing listens here"


def _styled(styled: Line) -> Text:
    text = Text()
    for part, style in styled:
        text.append(part, style=style)
    return text
