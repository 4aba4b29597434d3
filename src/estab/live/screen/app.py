"""The live view's application: rounds arrive, the model is fed, and what changed on the screen is drawn."""

from __future__ import annotations

import locale
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.events import Resize
from textual.geometry import Size
from textual.widgets import Footer, Input

from estab.live import columns, panels
from estab.live.arrange import ORDERS, ListenerFilter, arranged, downwards
from estab.live.detail import detail
from estab.live.incidents import WorstSeen
from estab.live.model import Model
from estab.live.screen.detail import DetailScreen
from estab.live.screen.feeds import Feed, ReplayFeed, RoundArrived, RoundsEnded
from estab.live.screen.help import HelpScreen
from estab.live.screen.styled import StyledText
from estab.live.screen.table import LineTable
from estab.live.view import HostView, Key, ListenerRow
from estab.observe.process_names import ProcessNames
from estab.recording.snapshot_file import RecordingFile
from estab.report.layout import ASCII, UNICODE
from estab.report.words import clean
from estab.words import clock, plural

INTERRUPTED = 130
_TALL = 30  # lines from which on more targets, and a higher history, are shown
_OF_TABLE = ("filter", "sort", "reverse", "nothing", "clear", "help")
_LOW = 15  # and below which the panels give their lines to the table
_ROOMY = (120, 40)  # columns and lines from which on the listener under the cursor is shown beneath the table
_WITH_DAY = 100  # columns from which on a recording's moments have their day, and the zone its name
_PEERS = 5  # that are shown there beside the targets


class WatchApp(App[int]):
    """The live view. Its return value is the exit code."""

    TITLE = "estab watch"
    ENABLE_COMMAND_PALETTE = False
    CSS_PATH = "watch.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "interrupt", "Interrupt", show=False, priority=True),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("s", "sort(1)", "Sort"),
        Binding("S", "sort(-1)", "Sort by the one before", show=False),
        Binding("r", "reverse", "Reverse", show=False),
        Binding("space", "pause", "Pause", key_display="space"),
        Binding("enter", "nothing", "Listener", key_display="enter"),
        Binding("question_mark,h,f1", "help", "Help", key_display="?"),
        Binding("escape", "clear", "Clear filter", show=False),
        Binding("right,full_stop", "step(1)", "Step", show=False),
        Binding("left,comma", "step(-1)", "Step back", show=False),
        Binding("n", "incident(1)", "Next incident"),
        Binding("N,p", "incident(-1)", "Incident before", show=False),
        Binding("plus,equals_sign", "faster(2)", "Faster", show=False),
        Binding("minus", "faster(0.5)", "Slower", show=False),
    ]

    def __init__(
        self,
        feed: Feed,
        chosen: ListenerFilter,
        by: str,
        *,
        what: str,
        recorder: RecordingFile | None = None,
        names_of: Callable[[int], ProcessNames] | None = None,
    ) -> None:
        """`names_of` gives the names of a process by its PID, where what is shown runs on this host."""
        super().__init__()
        self.model = Model()
        self.worst = WorstSeen()
        self._names_of, self._names = names_of, dict[int, ProcessNames]()
        self._note = ""
        self.feed = feed
        self.error: BaseException | None = None
        self.glyphs = UNICODE if "utf" in locale.getpreferredencoding(False).lower() else ASCII
        self._chosen, self._by, self._backwards = chosen, by, False
        self._what, self._recorder = what, recorder
        self._paused = False
        self._over = False
        self._shown: HostView | None = None

    # -- what the screen is made of -----------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Head, totals, verdict, table, targets, filter, keys."""
        yield StyledText(id="head")
        for name in ("sockets", "changes", "conntrack", "worst", "verdict", "unobserved"):
            yield StyledText(id=name)
        yield LineTable(id="listeners")
        yield StyledText(id="chosen")
        yield StyledText(id="ports")
        yield Input(placeholder="filter: :80, a PID, part of a process, an address or a namespace", id="filter")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to look."""
        self.query_one("#filter", Input).display = False
        self.query_one(LineTable).focus()
        self.feed.start(self)
        self._draw()

    # -- what arrives -------------------------------------------------------------------------------------------------

    def on_round_arrived(self, message: RoundArrived) -> None:
        """One more round. While paused the model goes on, and the screen does not."""
        if message.anew:
            self.model = Model()
        self.worst.note(self.model.feed(message.together))
        self._note = ""
        if not self._paused:
            self._shown = self.model.view
            self._draw()

    def on_rounds_ended(self, message: RoundsEnded) -> None:
        """Nothing more comes. Where there is nothing to show, why is all there is to say."""
        self._over, self.error = True, message.error
        if message.error is not None and self._shown is None:
            self.exit(1)
        self._draw()

    def on_resize(self, _event: Resize) -> None:
        """Other columns fit. The application itself learns of its new size only after this."""
        self.call_later(self._draw)

    # -- keys ---------------------------------------------------------------------------------------------------------

    def action_nothing(self) -> None:
        """Enter is the table's; its name stands among the keys."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The keys of the table work, and are shown, only where it is; those of a replay only in one."""
        del parameters
        if action in ("step", "faster", "incident"):
            return isinstance(self.feed, ReplayFeed)
        return action not in _OF_TABLE or len(self.screen_stack) == 1

    async def action_quit(self) -> None:
        """End well."""
        self.exit(0)

    def action_interrupt(self) -> None:
        """Ctrl-C."""
        self.exit(INTERRUPTED)

    def action_pause(self) -> None:
        """Hold the screen still, or go on with what is so now; a recording is held itself."""
        if isinstance(self.feed, ReplayFeed):
            self.feed.toggle()
        else:
            self._paused = not self._paused
            self._shown = self._shown if self._paused else self.model.view
        self._draw()

    def action_step(self, by: int) -> None:
        """One round of a recording on, or back."""
        if isinstance(self.feed, ReplayFeed):
            self.feed.step(by)
            self._draw()

    def action_incident(self, by: int) -> None:
        """To the next moment of a recording at which a listener got into distress, or to the one before."""
        if isinstance(self.feed, ReplayFeed) and not self.feed.to_incident(by):
            self._note = "no later incident" if by > 0 else "no earlier incident"
        self._draw()

    def action_faster(self, factor: float) -> None:
        """Play a recording faster or slower."""
        if isinstance(self.feed, ReplayFeed):
            self.feed.faster(factor)
            self._draw()

    def action_sort(self, by: int) -> None:
        """Sort by the next column."""
        names = list(ORDERS)
        self._sort_by(names[(names.index(self._by) + by) % len(names)])

    def action_reverse(self) -> None:
        """Turn the order around."""
        self._backwards = not self._backwards
        self._draw()

    def action_filter(self) -> None:
        """Ask for a filter."""
        asked = self.query_one("#filter", Input)
        asked.value, asked.display = self._chosen.text, True
        asked.focus()

    def action_clear(self) -> None:
        """Leave the filter, and take it off."""
        self._set_filter("")
        self._close_filter()

    def action_help(self) -> None:
        """All keys, what the words mean, and what is not observed."""
        self.push_screen(HelpScreen(self._shown))

    def on_input_changed(self, event: Input.Changed) -> None:
        """The table follows what is typed."""
        if event.input.display:
            self._set_filter(event.value)

    def on_input_submitted(self, _event: Input.Submitted) -> None:
        """Enter keeps the filter."""
        self._close_filter()

    def on_line_table_opened(self, message: LineTable.Opened) -> None:
        """Drill down."""
        self.push_screen(DetailScreen(lambda size: self._detail(message.key, size)))

    def on_line_table_heading_clicked(self, message: LineTable.HeadingClicked) -> None:
        """Sort by the column that was clicked; once more turns it around."""
        x = 0
        for placed in self._placed():
            if x <= message.x < x + placed.width + columns.GAP and placed.column.name in ORDERS:
                if placed.column.name == self._by:
                    self.action_reverse()
                else:
                    self._sort_by(placed.column.name)
                return
            x += placed.width + columns.GAP

    def _sort_by(self, name: str) -> None:
        self._by, self._backwards = name, False
        self._draw()

    def _set_filter(self, text: str) -> None:
        self._chosen = replace(self._chosen, text=text)
        self._draw()

    def _close_filter(self) -> None:
        self.query_one("#filter", Input).display = False
        self.query_one(LineTable).focus()

    # -- drawing ------------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Every part as it is now; each part redraws itself only where that is something else than before."""
        try:
            self._draw_main()
        except NoMatches:  # before the first screen is there, or while it is being taken down
            return
        if isinstance(self.screen, DetailScreen) and not self._paused:
            self.screen.draw()

    def _draw_main(self) -> None:
        main, view = self.screen_stack[0], self._shown
        width, height = self.size
        main.set_class(height < _TALL, "short")
        main.query_one("#head", StyledText).say(self._head(width))
        for name, text in ({} if view is None else self._panels(view)).items():
            main.query_one(f"#{name}", StyledText).say(text)
            main.query_one(f"#{name}").display = bool(text) and (name == "worst" or height >= _LOW)
        roomy = width >= _ROOMY[0] and height >= _ROOMY[1]
        most, peers = (10 if height >= _TALL else 3), (_PEERS if roomy else 0)
        ports = [] if view is None else panels.ports(view, most, self.glyphs, width, peers)
        main.query_one("#ports", StyledText).say(Text("\n").join(ports))
        main.query_one("#ports").display = height >= _LOW + 5
        table = main.query_one(LineTable)
        self._draw_table(table, view)
        row = self.model.last_row(table.key) if roomy and table.key is not None else None
        main.query_one("#chosen").display = row is not None
        if row is not None:
            main.query_one("#chosen", StyledText).say(self._listener(row, width - 4, 4, judged=False))

    def _draw_table(self, table: LineTable, view: HostView | None) -> None:
        placed = self._placed()
        rows = arranged(view.rows, self._chosen, self._by, backwards=self._backwards) if view is not None else []
        lines = [(row.key, columns.line(row, placed, self.glyphs)) for row in rows]
        heading = columns.heading(placed, self._by, downwards(self._by, backwards=self._backwards))
        table.show(heading, lines, self._nothing(view))

    def _placed(self) -> list[columns.PlacedColumn]:
        return columns.fit(self.size.width, self._shown)

    def _panels(self, view: HostView) -> dict[str, Text]:
        in_table = any(placed.column.name == "says" for placed in self._placed())
        return {
            "sockets": panels.sockets(view.totals),
            "changes": panels.changes(view.totals),
            "conntrack": self._conntrack(view),
            "worst": Text("") if in_table else panels.worst([row for row in view.rows if self._chosen.passes(row)]),
            "verdict": panels.verdict(view.verdict),
            "unobserved": panels.unobserved(view),
        }

    def _conntrack(self, view: HostView) -> Text:
        shown = self.size.height >= _TALL or panels.conntrack_is_notable(view.totals)
        return panels.conntrack(view.totals, self.glyphs) if shown else Text("")

    def _detail(self, key: Key, size: Size) -> Text:
        """What is known of one listener, though it may listen no more."""
        row = self.model.last_row(key)
        if row is None:
            return Text("This listener is gone, and so is what was known of it.")
        width = max(20, size.width - 6)  # the margins and a scrollbar
        return self._listener(row, width, 6 if size.height >= _TALL else 4, judged=True)

    def _listener(self, row: ListenerRow, width: int, height: int, *, judged: bool) -> Text:
        view = self.model.view
        return detail(
            row,
            self.model.history(row.key),
            self.model.diagnosis_of(row.key) if judged else None,
            gone=view is None or all(shown.key != row.key for shown in view.rows),
            width=width,
            height=height,
            glyphs=self.glyphs,
            names={owner.pid: names for owner in row.owners if (names := self._called(owner.pid)) is not None},
        )

    def _called(self, pid: int) -> ProcessNames | None:
        """What a process is called; each is asked about once."""
        if self._names_of is None:
            return None
        if pid not in self._names:
            self._names[pid] = self._names_of(pid)
        return self._names[pid]

    def _nothing(self, view: HostView | None) -> str:
        if view is None:
            return "looking ..."
        if view.rows:
            return f"none of {plural(len(view.rows), 'listener')} passes the filter; escape takes it off"
        return "nothing listens here"

    def _head(self, width: int) -> Text:
        """Who, what, how often at the left; the moment at the right."""
        view = self._shown
        left = ["estab watch", *([clean(view.host)] if view is not None and view.host else []), *self._mode()]
        wanted = [f"port {self._chosen.port}"] if self._chosen.port is not None else []
        wanted += [clean(words) for words in (self._chosen.process, self._chosen.text) if words]
        left += [f"filter {' '.join(wanted)}"] if wanted else []
        with_day = isinstance(self.feed, ReplayFeed) and width >= _WITH_DAY
        zone = " UTC" if width >= _WITH_DAY else "Z"
        moment = "" if view is None else f"{clock(view.at_s, day=with_day)}{zone}"
        room = max(0, width - len(moment) - 3)
        text = next((fits for fits in ("  ".join(left), " ".join(left)) if len(fits) <= room), " ".join(left)[:room])
        return Text(f" {text}{moment:>{max(0, width - len(text) - 2)}} ", no_wrap=True)

    def _mode(self) -> list[str]:
        if isinstance(self.feed, ReplayFeed):
            held = "paused" if self.feed.paused else "ended" if self._over else f"x{self.feed.speed:g}"
            return [f"replay {clean(self._what)} {self.feed.position}/{len(self.feed.rounds)} {self._note or held}"]
        if self.error is not None:
            return [f"ENDED: {' '.join(clean(str(self.error)).split())}"]
        mode = [self._what] if not self._over else ["ended"]
        mode += ["PAUSED"] if self._paused else []
        if self._recorder is not None:
            known = f"recording {self._recorder.snapshots:,}"
            mode.append("RECORDING FAILED" if self._recorder.failed is not None else known)
        return mode
