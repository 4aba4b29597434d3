"""A load while it goes on, as a few lines that are drawn over and over: how far it is, how fast, how it fares. Pure.

A line is a sequence of (text, style): the terminal's end cuts and paints it. Ten times a second this must cost nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from estab.kernel.rules import accept_queue
from estab.records import TimelinePoint
from estab.report.layout import Glyphs, bar, sparkline
from estab.report.words import count, seconds
from estab.words import places

Line = Sequence[tuple[str, str]]  # text and style: "", "dim", "cyan", "red"

_BAR = 24
_LEVELS = 20
_STEP_S = 0.5  # of a sparkline


class LoadProgress:
    """What is known of one load so far.

    `wanted`: connections asked for, 0 for as many as can be. `duration_s`: how long it asks or holds; None: not known.
    `title` stands first, as `bench` or `run 2 of 5`.
    """

    def __init__(self, title: str, command: str, wanted: int, duration_s: float | None) -> None:
        self.title, self.command, self.wanted, self.duration_s = title, command, wanted, duration_s
        self._held_since_s: float | None = None
        self._rates: deque[float] = deque(maxlen=_LEVELS)
        self._since: tuple[float, int] | None = None
        self._latency: tuple[float, float] | None = None

    def lines(self, stage: str, point: TimelinePoint, closed: int, glyphs: Glyphs) -> list[Line]:
        """The block, once `point` is the newest."""
        self._learn(stage, point)
        return [self._how_far(stage, point, closed, glyphs), self._how_fast(point, glyphs), self._how_well(point)]

    def _learn(self, stage: str, point: TimelinePoint) -> None:
        if stage in ("running", "holding") and self._held_since_s is None:
            self._held_since_s = point.t_s
        done = self._done(point)
        if self._since is None or done < self._since[1]:
            self._since = point.t_s, done
        elif point.t_s - self._since[0] >= _STEP_S:
            self._rates.append((done - self._since[1]) / (point.t_s - self._since[0]))
            self._since = point.t_s, done
        spread = point.request_us or point.connect_us
        if spread is not None and spread.count:
            self._latency = spread.p50, spread.p99

    def _done(self, point: TimelinePoint) -> int:
        return point.requests if point.requests and self.command != "churn" else point.connected

    # The three lines -------------------------------------------------------------------------------------------------

    def _how_far(self, stage: str, point: TimelinePoint, closed: int, glyphs: Glyphs) -> Line:
        share, left_s = self._share(stage, point, closed)
        words = f"{self.title}  {'holding' if stage == 'running' and self.command == 'hold' else stage}"
        if share is None:
            return [(f"{words}  ", ""), (f"{point.t_s:.1f} s", "dim")]
        drawn = bar(share, _BAR, glyphs)
        left = "" if left_s is None else f"  {_rounded(left_s)} left"
        return [
            (f"{words:<18}  ", ""),
            (drawn, "cyan"),
            (glyphs.track * (_BAR - len(drawn)), "dim"),
            (f" {share:>4.0%}{left}", ""),
        ]

    def _share(self, stage: str, point: TimelinePoint, closed: int) -> tuple[float | None, float | None]:
        """How much is done, 0 to 1, and how long it will take; None: not known."""
        if stage == "closing":
            return (min(1.0, closed / point.connected) if point.connected else 1.0), None
        if self.command == "hold" and stage == "connecting":
            share = min(1.0, point.connected / self.wanted) if self.wanted else None
            rate = self._rates[-1] if self._rates else 0.0
            return share, (self.wanted - point.connected) / rate if share is not None and rate > 0 else None
        counted = point.attempted / self.wanted if self.wanted and self.command == "churn" else None
        if not self.duration_s:
            return counted if counted is None else min(1.0, counted), None
        since_s = (self._held_since_s or point.t_s) if self.command == "hold" else 0.0
        over_s = point.t_s - since_s
        return min(1.0, max(over_s / self.duration_s, counted or 0.0)), self.duration_s - over_s

    def _how_fast(self, point: TimelinePoint, glyphs: Glyphs) -> Line:
        what = "requests/s" if point.requests and self.command != "churn" else "connects/s"
        rate = self._rates[-1] if self._rates else self._done(point) / point.t_s if point.t_s > 0 else 0.0
        line = [(f"  {count(rate)} {what}  ", ""), (sparkline(self._rates, glyphs), "cyan")]
        if self._latency is not None:
            p50, p99 = (seconds(value / 1e6, glyphs.micro) for value in self._latency)
            line.append((f"  p50 {p50}  p99 {p99}", ""))
        return line

    def _how_well(self, point: TimelinePoint) -> Line:
        of = f" of {count(self.wanted)}" if self.wanted and self.command == "hold" else ""
        line = [
            (f"  {count(point.connected)}{of} connected  {count(point.open)} open  ", ""),
            (f"{count(point.failed)} failed", "red" if point.failed else "dim"),
        ]
        if point.queue_depth is not None:
            room = accept_queue.room(point.queue_limit or 0)
            full = point.queue_depth >= room
            line.append((f"  queue {places(point.queue_depth, room)}", "red" if full else ""))
        return line


def _rounded(left_s: float) -> str:
    """A time that is read at a glance while it runs down."""
    if left_s >= 120:
        return f"{left_s / 60:.0f} min"
    return f"{left_s:.0f} s" if left_s >= 9.5 else f"{max(0.0, left_s):.1f} s"


class SearchProgress:
    """A search while it goes on: its last attempts, then the one that runs."""

    _LAST = 4

    def __init__(self, fresh: Callable[[int], LoadProgress]) -> None:
        self._fresh, self._tried = fresh, deque[str](maxlen=self._LAST)
        self._number = 1
        self._running = fresh(1)

    def stepped(self, said: str) -> None:
        """An attempt is over: what came of it."""
        self._tried.append(said)
        self._number += 1
        self._running = self._fresh(self._number)

    def lines(self, stage: str, point: TimelinePoint, closed: int, glyphs: Glyphs) -> list[Line]:
        """The attempts so far, the newest last, and the running one."""
        return [*self._attempts(), *self._running.lines(stage, point, closed, glyphs)]

    def _attempts(self) -> Iterator[Line]:
        if (before := self._number - 1 - len(self._tried)) > 0:
            yield [(f"  {before} before", "dim")]
        yield from ([(f"  {said}", "dim")] for said in self._tried)
