"""The table widget: lines of styled cells, of which only those are drawn again that changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from estab.live.columns import Line
from estab.live.view import Key

# The bar must keep its colours under the cursor; without colours the reversed first cell shows where it is.
_CURSOR_FIRST, _CURSOR = Style(reverse=True), Style(bgcolor="grey27")


class LineTable(ScrollView, can_focus=True):
    """A heading that stays, and rows with a cursor that stays with its row's key however the rows are sorted."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "move(-1000000)", "First", show=False),
        Binding("end", "move(1000000)", "Last", show=False),
        Binding("enter", "open", "Listener", priority=False),
    ]

    @dataclass
    class Opened(Message):
        """Enter, or a click on the row where the cursor is."""

        key: Key

    @dataclass
    class HeadingClicked(Message):
        """A click on the heading, `x` characters from its start."""

        x: int

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._heading: Line = ()
        self._rows: Sequence[tuple[Key, Line]] = ()
        self._nothing = ""
        self._key: Key | None = None
        self._moved = False
        self._drawn: dict[int, object] = {}

    @property
    def key(self) -> Key | None:
        """The row under the cursor."""
        return self._key

    def show(self, heading: Line, rows: Sequence[tuple[Key, Line]], nothing: str) -> None:
        """Show these rows, or `nothing` where there are none."""
        self._heading, self._rows, self._nothing = heading, rows, nothing
        # Until somebody moves it, the cursor is on the first row: the worst.
        if not self._moved or self._at() is None:
            self._key = rows[0][0] if rows else None
        self.virtual_size = Size(self.size.width, len(rows) + 1)
        self._refresh_changed()

    def render_line(self, y: int) -> Strip:
        """One line of the screen: the heading first, then the rows from the scroll offset on."""
        line, cursor = self._drawn[y] = self._content(y)
        segments = [Segment(text, Style.parse(style)) for text, style in line]
        if cursor:
            over = [_CURSOR_FIRST, *[_CURSOR] * len(segments)]
            segments = [
                Segment(segment.text, (segment.style or Style()) + on)
                for segment, on in zip(segments, over, strict=False)
            ]
        strip = Strip(segments).crop(0, self.size.width)
        return strip.extend_cell_length(self.size.width, _CURSOR if cursor else None).apply_style(self.rich_style)

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        if self._rows:
            at = min(max((self._at() or 0) + by, 0), len(self._rows) - 1)
            self._key, self._moved = self._rows[at][0], True
            self._bring_into_view(at)
            self._refresh_changed()

    def action_page(self, by: int) -> None:
        """Move the cursor by as many rows as are seen."""
        self.action_move(by * max(1, self.size.height - 2))

    def action_open(self) -> None:
        """Ask for the row under the cursor."""
        if self._key is not None:
            self.post_message(self.Opened(self._key))

    def on_click(self, event: Click) -> None:
        """Select a row, or open the one that is selected; the heading sorts."""
        if event.y == 0:
            self.post_message(self.HeadingClicked(event.x))
            return
        index = event.y - 1 + round(self.scroll_offset.y)
        if not 0 <= index < len(self._rows):
            return
        again = self._rows[index][0] == self._key
        self._key, self._moved = self._rows[index][0], True
        self._refresh_changed()
        if again:
            self.action_open()

    def _content(self, y: int) -> tuple[Line, bool]:
        if y == 0:
            return self._heading, False
        index = y - 1 + round(self.scroll_offset.y)
        if index < len(self._rows):
            key, line = self._rows[index]
            return line, key == self._key and self.has_focus
        return (((self._nothing, "dim"),) if y == 1 and not self._rows else ()), False

    def _refresh_changed(self) -> None:
        """Only lines that would look different from what is on the screen are drawn."""
        changed = [y for y in range(self.size.height) if self._drawn.get(y) != self._content(y)]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def _at(self) -> int | None:
        return next((number for number, (key, _) in enumerate(self._rows) if key == self._key), None)

    def _bring_into_view(self, index: int) -> None:
        top, seen = round(self.scroll_offset.y), max(1, self.size.height - 1)
        if index < top:
            self.scroll_to(y=index, animate=False)
        elif index >= top + seen:
            self.scroll_to(y=index - seen + 1, animate=False)
