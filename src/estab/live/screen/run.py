"""Starting the live view and ending it: the exit code, the last word, and a thread that has ended."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from estab.live.arrange import ListenerFilter
from estab.live.incidents import WorstSeen
from estab.live.screen.app import INTERRUPTED, WatchApp
from estab.live.screen.feeds import Feed, LiveFeed, ReplayFeed
from estab.live.screen.watchdog import watchdog
from estab.load.conductor import Stop
from estab.observe.process_names import process_names
from estab.recording.snapshot_file import RecordingFile
from estab.records import Snapshot
from estab.words import clock, plural


def watch_live(
    rounds: Iterator[list[Snapshot]],
    stop: Stop,
    chosen: ListenerFilter,
    by: str,
    *,
    recorder: RecordingFile | None,
    interval_s: float | None,
) -> int:
    """Show rounds as they come until the user ends it. The exit code; raises what ended the rounds."""
    feed = LiveFeed(rounds, stop)
    here = interval_s is not None  # else a command's: of another host
    what = f"every {interval_s:g} s" if here else "live"
    names_of = process_names if here else None
    return _run(feed, WatchApp(feed, chosen, by, what=what, recorder=recorder, names_of=names_of))


def watch_replay(
    rounds: Sequence[Sequence[Snapshot]], chosen: ListenerFilter, by: str, *, speed: float, name: str, before: int = 0
) -> int:
    """Play recorded rounds, from the one that has `before` before it, until the user ends it. The exit code."""
    feed = ReplayFeed(rounds, speed, before)
    return _run(feed, WatchApp(feed, chosen, by, what=name))


def last_line(worst: WorstSeen) -> str:
    """What stays on the terminal: the worst that was seen, and when."""
    words = worst.words()
    if words is None:
        return f"worst seen in {plural(worst.looks, 'look')}: nothing; no queue was full or filling"
    where, says = words
    return f"worst seen: {where} at {clock(worst.at_s)} UTC: {says}"


def _run(feed: Feed, app: WatchApp) -> int:
    for fixed in ("COLUMNS", "LINES"):  # where a shell exports them, they would hold the view at the size it began with
        os.environ.pop(fixed, None)
    try:
        with watchdog(lambda: app.call_later(app.exit, INTERRUPTED), feed.finish, INTERRUPTED):
            code = app.run()
    finally:
        feed.finish()
    if app.error is not None:
        raise app.error
    print(last_line(app.worst))
    return app.return_code or 0 if code is None else code
