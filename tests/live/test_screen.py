"""The application itself: keys, what they change, how it looks at two sizes. It plays a recording at fixed times."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from rich.segment import Segment
from tests.live.stories import START_S, story, written
from textual.pilot import Pilot

from estab.errors import MachineError
from estab.live.arrange import ListenerFilter
from estab.live.replay import recorded
from estab.live.screen.app import WatchApp
from estab.live.screen.detail import DetailScreen
from estab.live.screen.feeds import ReplayFeed, RoundsEnded
from estab.live.screen.help import HelpScreen
from estab.live.screen.styled import StyledText
from estab.live.screen.table import LineTable
from estab.report.layout import UNICODE

SIZES = [(80, 24), (160, 50)]


@pytest.fixture
def app(tmp_path: Path) -> WatchApp:
    """A recording, paused at its first moment."""
    feed = ReplayFeed(recorded(written(tmp_path / "story.ndjson", story())), 1.0)
    feed.paused = True
    app = WatchApp(feed, ListenerFilter(), "state", what="story.ndjson")
    app.glyphs = UNICODE
    return app


def drive(app: WatchApp, work: Callable[[Pilot[int]], Awaitable[None]], size: tuple[int, int] = (80, 24)) -> None:
    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await work(pilot)

    asyncio.run(run())


async def to_the_end(pilot: Pilot[Any]) -> None:
    """As by nine times the key for a step. To press a key takes as much CPU as to draw what comes of it."""
    assert isinstance(pilot.app, WatchApp)
    for _ in range(9):
        pilot.app.action_step(1)
    await pilot.pause()


def lines(app: WatchApp) -> list[str]:
    """The table as it stands on the screen."""
    table = app.query_one(LineTable)
    return [table.render_line(y).text.rstrip() for y in range(table.size.height)]


def first_words(app: WatchApp) -> list[str]:
    return [line.split()[0] for line in lines(app)[1:] if line]


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "160x50"])
def test_looks_filling(app: WatchApp, snap_compare: Callable[..., bool], size: tuple[int, int]) -> None:
    assert snap_compare(app, terminal_size=size, press=["right", "right", "right", "right"])


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "160x50"])
def test_looks_overflowing(app: WatchApp, snap_compare: Callable[..., bool], size: tuple[int, int]) -> None:
    assert snap_compare(app, terminal_size=size, run_before=to_the_end)


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "160x50"])
def test_looks_drilled_down(app: WatchApp, snap_compare: Callable[..., bool], size: tuple[int, int]) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await to_the_end(pilot)
        await pilot.press("enter")
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "160x50"])
def test_looks_help(app: WatchApp, snap_compare: Callable[..., bool], size: tuple[int, int]) -> None:
    assert snap_compare(app, terminal_size=size, press=["question_mark"])


def test_sorting(app: WatchApp) -> None:
    async def work(pilot: Pilot[int]) -> None:
        await to_the_end(pilot)
        assert first_words(app)[0] == "*:8080"
        await pilot.press("S")  # the one before the first is the last: by listener
        assert first_words(app) == ["[::]:443", "127.0.0.1:5432", "*:8080", "[2001:db8:0…:9000"]
        await pilot.press("r")
        assert first_words(app)[-1] == "[::]:443"
        await pilot.press("s")
        assert first_words(app)[0] == "*:8080"

    drive(app, work)


def test_the_cursor_stays_with_its_listener(app: WatchApp) -> None:
    async def work(pilot: Pilot[int]) -> None:
        await to_the_end(pilot)
        table = app.query_one(LineTable)
        await pilot.press("end")
        key = table.key
        await pilot.press("r")
        assert table.key == key
        await pilot.press("home")
        assert table.key == key  # it is the first now
        await pilot.press("down", "up", "pagedown", "k", "j")
        assert table.key is not None

    drive(app, work)


def test_filtering(app: WatchApp) -> None:
    async def work(pilot: Pilot[int]) -> None:
        await to_the_end(pilot)
        await pilot.press("slash", *"postgres")
        assert first_words(app) == ["127.0.0.1:5432"]
        await pilot.press("enter")
        assert isinstance(app.focused, LineTable)
        assert "filter postgres" in str(app.query_one("#head", StyledText).visual)
        await pilot.press("escape")
        assert len(first_words(app)) == 4
        await pilot.press("slash", *"nobody", "enter")
        assert lines(app)[1].startswith("none of 4 listeners passes the filter")

    drive(app, work)


def test_drilling_down(app: WatchApp) -> None:
    async def work(pilot: Pilot[int]) -> None:
        for _ in range(4):
            await pilot.press("right")
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, DetailScreen)
        words = app.screen.query_one("#detail", StyledText)
        assert "filling: at this rate full in 2 s" in str(words.visual)
        for _ in range(4):
            await pilot.press("right")
            await pilot.pause()
        assert "12 packets a second are turned away" in str(words.visual)
        await pilot.press("escape")
        assert not isinstance(app.screen, DetailScreen)
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("q")
        assert not isinstance(app.screen, HelpScreen)

    drive(app, work)


def test_a_recording_is_stepped_both_ways(app: WatchApp) -> None:
    async def work(pilot: Pilot[int]) -> None:
        await pilot.press(*["right"] * 10)  # beyond the end nothing happens
        await pilot.pause()
        at_end = lines(app)
        for _ in range(3):
            await pilot.press("left")
            await pilot.pause()
        assert app.model.view is not None
        assert app.model.view.at_s == START_S + 6
        for _ in range(3):
            await pilot.press("right")
            await pilot.pause()
        assert lines(app) == at_end

    drive(app, work)


def test_to_the_incidents_of_a_recording(app: WatchApp) -> None:
    async def work(pilot: Pilot[int]) -> None:
        assert isinstance(app.feed, ReplayFeed)
        await pilot.press("n")
        await pilot.pause()
        first = app.feed.position
        assert "filling" in lines(app)[1]
        await pilot.press("n")
        await pilot.pause()
        assert app.feed.position == first
        assert "no later incident" in str(app.query_one("#head", StyledText).visual)
        await to_the_end(pilot)
        await pilot.press("N")
        await pilot.pause()
        assert app.feed.position == first

    drive(app, work)


def test_a_large_screen_shows_the_listener_under_the_cursor(app: WatchApp) -> None:
    async def work(pilot: Pilot[int]) -> None:
        await to_the_end(pilot)
        chosen = app.query_one("#chosen", StyledText)
        assert chosen.display
        assert "17 wait, 17 fit" in str(chosen.visual)
        await pilot.press("end")
        app._draw()
        assert "17 wait, 17 fit" not in str(chosen.visual)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert not chosen.display

    drive(app, work, (160, 50))


def test_a_recording_plays_by_itself_to_its_end(tmp_path: Path) -> None:
    feed = ReplayFeed(recorded(written(tmp_path / "story.ndjson", story())), 1000.0)
    app = WatchApp(feed, ListenerFilter(), "state", what="story.ndjson")

    async def work(pilot: Pilot[int]) -> None:
        while app.model.view is None or app.model.view.at_s < START_S + 9:
            await pilot.pause(0.01)
        await pilot.press("minus", "plus")
        assert feed.speed == 1000.0
        assert feed.position == 10

    drive(app, work)


def test_pause_holds_a_live_screen_still(app: WatchApp) -> None:
    class Still:
        """A feed of which nothing comes by itself."""

        def start(self, _app: object) -> None: ...

        def finish(self) -> None: ...

    app.feed = Still()  # type: ignore[assignment]

    async def work(pilot: Pilot[int]) -> None:
        from estab.live.screen.feeds import RoundArrived

        first, second = story()[6:8]
        app.post_message(RoundArrived([first]))
        await pilot.pause()
        before = lines(app)
        await pilot.press("space")
        app.post_message(RoundArrived([second]))
        await pilot.pause()
        assert lines(app) == before
        assert "PAUSED" in str(app.query_one("#head", StyledText).visual)
        await pilot.press("space")
        assert lines(app) != before

    drive(app, work)


def test_only_what_changed_is_drawn(app: WatchApp, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(pilot: Pilot[int]) -> None:
        await to_the_end(pilot)
        table = app.query_one(LineTable)
        drawn: list[int] = []
        render = table.render_line
        monkeypatch.setattr(table, "render_line", lambda y: (drawn.append(y), render(y))[1])
        app._draw()
        await pilot.pause()
        assert drawn == []
        await pilot.press("down")
        await pilot.pause()
        assert sorted(set(drawn)) == [1, 2]

    drive(app, work)


@pytest.mark.parametrize("size", [(1, 1), (10, 3), (20, 5), (40, 8), (80, 14), (300, 90)], ids=str)
def test_any_size(app: WatchApp, size: tuple[int, int]) -> None:
    async def work(pilot: Pilot[int]) -> None:
        await to_the_end(pilot)
        await pilot.press("enter")
        await pilot.resize_terminal(80, 24)
        await pilot.press("escape")
        await pilot.resize_terminal(*size)
        await pilot.pause()

    drive(app, work, size)


def test_without_colour(app: WatchApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def work(pilot: Pilot[int]) -> None:
        await to_the_end(pilot)
        assert "OVERFLOW" in lines(app)[1]

    drive(app, work)


@pytest.mark.parametrize(("key", "code"), [("q", 0), ("ctrl+c", 130)])
def test_how_it_ends(app: WatchApp, key: str, code: int) -> None:
    async def work(pilot: Pilot[int]) -> None:
        await pilot.press(key)

    drive(app, work)
    assert app.return_value == code


def test_what_ends_the_looks_is_said_and_the_screen_stays(app: WatchApp) -> None:
    async def work(pilot: Pilot[int]) -> None:
        app.feed = object()  # type: ignore[assignment]
        app.post_message(RoundsEnded(MachineError("the command ended")))
        await pilot.pause()
        assert "ENDED: the command ended" in str(app.query_one("#head", StyledText).visual)
        assert len(first_words(app)) == 4

    drive(app, work)
    assert isinstance(app.error, MachineError)


def test_a_record_from_elsewhere_does_not_move_the_cursor(tmp_path: Path) -> None:
    evil = story()[9]
    assert evil.listeners is not None
    listeners = [listener.replace(address="\x1b[2J[red]") for listener in evil.listeners]
    feed = ReplayFeed(recorded(written(tmp_path / "evil.ndjson", [evil.replace(listeners=listeners)])), 1.0)
    app = WatchApp(feed, ListenerFilter(), "state", what="\x1b[31mevil")

    async def work(pilot: Pilot[int]) -> None:
        await pilot.pause()
        segments: list[Segment] = [segment for y in range(5) for segment in app.query_one(LineTable).render_line(y)]
        assert not any("\x1b" in segment.text for segment in segments)

    drive(app, work)
