"""A widget of styled text that is drawn again only when it says something else."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static


class StyledText(Static):
    """Some lines of text."""

    _said: Text | None = None

    def say(self, text: Text) -> None:
        """Show `text`."""
        if self._said is None or text.plain != self._said.plain or text.spans != self._said.spans:
            self._said = text
            self.update(text)
