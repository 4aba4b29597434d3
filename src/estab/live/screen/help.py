"""The help: keys, what the words in the table mean, and what this user does not see."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from estab.live.view import HostView
from estab.report.words import clean

_KEYS = (
    ("up, down, j, k", "choose a listener; PgUp, PgDn, Home, End"),
    ("enter", "open it: history, owners, verdict, what to do"),
    ("/", "filter: :80 a port; 4711 a port or PID; else a part of"),
    ("", "a process, unit, pod, address, namespace or state"),
    ("escape", "back; take the filter off"),
    ("s, S", "sort by the next or last column; or click a heading"),
    ("r", "turn the order around"),
    ("space", "pause the screen; looking and recording go on"),
    ("q", "quit (exit code 0); Ctrl-C interrupts (130)"),
)
_REPLAY = (
    ("space", "pause, go on"),
    ("right, left", "one look on, or back"),
    ("n, N", "to the next incident, or to the one before"),
    ("+, -", "twice, or half as fast"),
)
_WORDS = (
    ("OVERFLOW", "connections were turned away since the last look"),
    ("FULL", "the accept queue takes no more; limit + 1 fit"),
    ("no fds", "an owner has used up its descriptors: it can't accept"),
    ("filling", "it grows, and is full within a minute at this rate"),
    ("stuck", "some wait, and for 5 s none was accepted"),
    ("drops", "packets were dropped, not for a full accept queue"),
    ("waiting", "some wait to be accepted"),
    ("BELONGS TO", "the owner's systemd unit, container or pod"),
    ("TREND", "its depth at the last looks, as high as it was full"),
    ("WORST", "the greatest depth that was seen"),
    ("FDS", "descriptors in use, of the owner's RLIMIT_NOFILE"),
    ("IN USE/OF", "ports of the busiest source address, of its range"),
)


class HelpScreen(Screen[None]):
    """Text that scrolls."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter,space", "back", "Back", key_display="esc")
    ]

    def __init__(self, view: HostView | None) -> None:
        super().__init__()
        self._view = view

    def compose(self) -> ComposeResult:
        """All at once: nothing here changes."""
        with VerticalScroll(id="scroll"):
            yield Static(self._text(), id="help")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """The keys scroll it."""
        self.query_one(VerticalScroll).focus()

    def action_back(self) -> None:
        """To the table."""
        self.dismiss()

    def _text(self) -> Text:
        parts = [*_section("Keys", _KEYS), *_section("In a replay", _REPLAY), *_section("Words", _WORDS)]
        unobserved = list(self._view.unobserved) if self._view is not None else []
        parts += [Text("Not observed, and why", "bold")]
        parts += [Text(f"  {clean(field)}: {clean(why)}") for field, why in unobserved] or [
            Text("  nothing is missing")
        ]
        return Text("\n").join(parts)


def _section(title: str, rows: tuple[tuple[str, str], ...]) -> list[Text]:
    lines = [Text(f"  {name:<16}", "bold").append(says, style="not bold") for name, says in rows]
    return [Text(title, "bold underline"), *lines, Text("")]
