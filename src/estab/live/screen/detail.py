"""The drill-down: one listener on a screen of its own, as long as it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Footer

from estab.live.detail import detail
from estab.live.screen.words import Words
from estab.live.view import Key

if TYPE_CHECKING:
    from estab.live.screen.app import WatchApp


class DetailScreen(Screen[None]):
    """Shows what the app's model knows of one listener, though it may listen no more."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,backspace,enter", "back", "Back", key_display="esc")]

    def __init__(self, key: Key) -> None:
        super().__init__()
        self._key = key

    def compose(self) -> ComposeResult:
        """The text scrolls: a verdict may be longer than the screen."""
        with VerticalScroll(id="scroll"):
            yield Words(id="detail")
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
        app: WatchApp = self.app  # type: ignore[assignment]
        row = app.model.last_row(self._key)
        if row is None:
            self.query_one("#detail", Words).say(Text("This listener is gone, and so is what was known of it."))
            return
        gone = all(one.key != self._key for one in (app.model.view.rows if app.model.view is not None else ()))
        text = detail(
            row,
            app.model.history(self._key),
            app.model.diagnosis_of(self._key),
            gone=gone,
            width=max(20, self.app.size.width - 6),  # the margins and a scrollbar
            height=6 if self.app.size.height >= 30 else 4,
            signs=app.signs,
        )
        self.query_one("#detail", Words).say(text)
