"""Printing without blanks at the ends of lines: tables fill their cells with them, and nobody wants them in a paste."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.segment import Segment, Segments


def print_trimmed(console: Console, *parts: RenderableType) -> None:
    """Prints `parts` at once, no line longer than the console is wide and none with blanks at its end."""
    trimmed: list[Segment] = []
    options = console.options
    for part in parts:
        for segments in console.render_lines(part, options, pad=False):
            while segments and not segments[-1].text.rstrip():
                segments.pop()
            if segments:
                last = segments[-1]
                segments[-1] = Segment(last.text.rstrip(), last.style, last.control)
            trimmed += [*segments, Segment.line()]
    console.print(Segments(trimmed), end="", crop=False)
