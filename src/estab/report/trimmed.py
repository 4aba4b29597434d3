"""Printing without blanks at the ends of lines: tables fill their cells with them, and nobody wants them in a paste."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.segment import Segment, Segments


def print_trimmed(console: Console, part: RenderableType) -> None:
    """Prints `part`, no line longer than the console is wide and none with blanks at its end."""
    trimmed: list[Segment] = []
    for segments in console.render_lines(part, pad=False):
        kept = list(segments)
        while kept and not kept[-1].text.rstrip():
            kept.pop()
        if kept:
            kept[-1] = Segment(kept[-1].text.rstrip(), kept[-1].style, kept[-1].control)
        trimmed += [*kept, Segment.line()]
    console.print(Segments(trimmed), end="")
