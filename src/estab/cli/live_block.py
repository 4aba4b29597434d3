"""A few lines on a terminal's stderr that are drawn over themselves while a command runs, and wiped at its end."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from estab.cli.options import OutputFlags
    from estab.report.layout import Glyphs
    from estab.report.progress import Line

Draw = Callable[["Sequence[Line]"], None]
_CODES = {"dim": "2", "cyan": "36", "red": "31"}
_ROOM = 3  # lines of a terminal that are left to what stands above


class LiveBlock:
    """The lines that are drawn now. Nothing is drawn where stderr is no terminal, in the background, or when quiet."""

    def __init__(self, output: OutputFlags) -> None:
        self._output, self._drawn = output, 0
        self._dumb = is_dumb()
        self._coloured = not self._dumb and not os.environ.get("NO_COLOR")

    def draw(self, lines: Sequence[Line]) -> None:
        """Draws these in place of those before; none wipes them. A terminal without escapes gets them as one line."""
        if not (lines or self._drawn):
            return
        if not may_draw(self._output):
            self._drawn = 0  # whatever is drawn when it may again stands elsewhere
            return
        columns, rows = shutil.get_terminal_size()
        if self._dumb:
            said = "  ".join("".join(text for text, _ in line).strip() for line in reversed(lines))
            sys.stderr.write("\r" + " " * (columns - 1) + "\r" + said[: columns - 1])
        else:
            lines = lines[-max(1, rows - _ROOM) :]
            painted = "\x1b[K\n".join(self._painted(line, columns - 1) for line in lines)
            sys.stderr.write(self._home() + painted + "\x1b[J")
        sys.stderr.flush()
        self._drawn = len(lines)

    def _home(self) -> str:
        return "\r" if self._drawn < 2 else f"\r\x1b[{self._drawn - 1}A"

    def _painted(self, line: Line, columns: int) -> str:
        parts = []
        for text, style in line:
            kept = text[:columns]
            columns -= len(kept)
            code = _CODES.get(style) if self._coloured else None
            parts.append(f"\x1b[{code}m{kept}\x1b[0m" if code and kept else kept)
        return "".join(parts)


@contextlib.contextmanager
def live_block(output: OutputFlags) -> Iterator[Draw]:
    """Gives what draws lines in place of those before; they are wiped at the end."""
    block = LiveBlock(output)
    try:
        yield block.draw
    finally:
        block.draw([])


@contextlib.contextmanager
def status_line(output: OutputFlags) -> Iterator[Callable[[str], None]]:
    """Gives what shows one line that changes; "" wipes it."""
    with live_block(output) as draw:
        yield lambda text: draw([[(text, "")]] if text else [])


def may_ever_draw(output: OutputFlags) -> bool:
    """Whether stderr is a terminal, and progress wanted."""
    return not output.quiet and sys.stderr.isatty()


def may_draw(output: OutputFlags) -> bool:
    """Whether progress may be drawn on stderr now: it is a terminal, and this process no background job there.

    Asked before each drawing, since `fg` and `bg` may come between. tcgetpgrp(3) fails on a terminal that is not the
    one of this session; nobody's prompt is drawn over there.
    """
    if not may_ever_draw(output):
        return False
    try:
        return os.tcgetpgrp(sys.stderr.fileno()) == os.getpgrp()
    except OSError:
        return True


def is_dumb() -> bool:
    """Whether the terminal knows no escapes (TERM=dumb, as Emacs's)."""
    return os.environ.get("TERM", "dumb") in ("dumb", "")


def glyphs() -> Glyphs:
    """Those that stderr can write."""
    from estab.report.layout import ASCII, UNICODE

    return UNICODE if (sys.stderr.encoding or "").lower().startswith("utf") else ASCII
