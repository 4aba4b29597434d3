"""A cause's page on the terminal, and the list of causes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

from rich.markdown import Markdown
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from estab.report.cause_pages import page_of

if TYPE_CHECKING:
    from rich.console import Console

    from estab.diagnose.cause import Cause

_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")
_MARKER = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_WIDTH = 100  # of a line that one reads easily


def render_page(cause: str, console: Console) -> None:
    """The whole page, without the links and the markers that only the site has a use for."""
    page = page_of(cause)
    assert page is not None, f"docs/causes/{cause}.md is missing"
    console.print(Text(page.title, style="bold"), Text(cause, style="dim"), sep="\n")
    text = _LINK.sub(r"\1", _MARKER.sub("", page.text))
    width = min(console.width, _WIDTH)
    for number, part in enumerate(re.split(r"^## ", text, flags=re.MULTILINE)):
        heading, _, body = part.partition("\n") if number else ("", "", part)
        console.print()
        if heading:
            console.print(Text(heading, style="bold"))
        shown = Markdown(body, code_theme="ansi_light", hyperlinks=False)
        console.print(Padding(shown, (0, 0, 0, 2 if heading else 0)), width=width)


def render_causes(causes: Iterable[Cause], console: Console) -> None:
    """Each cause with its title, by side."""
    for side, of_side in groupby(sorted(causes, key=lambda cause: cause.side), key=lambda cause: cause.side):
        console.print(Text("On the path" if side == "path" else f"At the {side}", style="bold"))
        table = Table.grid(padding=(0, 2))
        for cause in of_side:
            page = page_of(cause.id)
            table.add_row(f"  {cause.id}", page.title if page else "")
        console.print(table)
