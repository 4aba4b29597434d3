"""The drill-down: one listener on a screen of its own, as long as it is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.events import Resize
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Footer

from estab.live.screen.styled import StyledText


class DetailScreen(Screen[None]):
    """Shows what `text_of` says of one listener now, for a screen of that size."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,backspace,enter", "back", "Back", key_display="esc")]

    def __init__(self, text_of: Callable[[Size], Text]) -> None:
        super().__init__()
        self._text_of = text_of

    def compose(self) -> ComposeResult:
        """The text scrolls: a verdict may be longer than the screen."""
        with VerticalScroll(id="scroll"):
            yield StyledText(id="detail")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Fill it at once."""
        self.query_one(VerticalScroll).focus()
        self.draw()

    def on_resize(self, _event: Resize) -> None:
        """The history has as many columns as fit."""
        self.draw()

    def action_back(self) -> None:
        """To the table."""
        self.dismiss()

    def draw(self) -> None:
        """As it is now."""
        self.query_one("#detail", StyledText).say(self._text_of(self.app.size))
