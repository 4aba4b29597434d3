"""The open loop: what is due begins at its time, whatever became of those before it, and is timed from then."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from estab.load.block import CONNECT_NS_AT, REQUEST_NS_AT
from estab.load.pyengine.counting import NS_PER_MS, Count

LATE_NS = NS_PER_MS


class Schedule:
    """Constant arrivals stand a gap apart; Poisson arrivals have exponential gaps with that mean. Times in ns."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.rate_per_s: float = config["rate_per_s"]
        self._poisson: bool = config["poisson"]
        self._phase: float = config["phase"]
        self._random = random.Random(config["seed"])
        self._since_ns = 0.0
        self.start_ns = self.next_ns = 0

    def begin(self, now: int) -> None:
        """The first is due soon after `now`."""
        self.start_ns = now
        self._advance(self._random.expovariate(1) if self._poisson else self._phase)

    def take(self) -> int:
        """The next intended start; the one after it becomes the next."""
        intended = self.next_ns
        self._advance(self._random.expovariate(1) if self._poisson else 1)
        return intended

    def _advance(self, gaps: float) -> None:
        self._since_ns += 1e9 / self.rate_per_s * gaps
        self.next_ns = self.start_ns + int(self._since_ns)


class ClientSchedule:
    """The client's part of it. `schedules_connects`: connects are what is due (churn); else requests are."""

    def __init__(self, count: Count, config: Mapping[str, Any]) -> None:
        self.count, self.config = count, config
        self.schedule = Schedule(config)
        self.schedules_connects = False
        self.free_at_ns = self.end_ns = self.to_start = 0

    def open_loop_begin(self, now: int) -> None:
        """The schedule starts."""
        self.schedule.begin(now)
        self.free_at_ns = now
        self.count.set("schedule_ns", now)
        if not self.end_ns and self.config["duration_ns"]:
            self.end_ns = now + self.config["duration_ns"]

    def _is_before_end(self) -> bool:
        return not self.end_ns or self.schedule.next_ns < self.end_ns

    def schedule_is_due(self, now: int) -> bool:
        """Whether the next is due, and was meant to begin before the end."""
        return bool(self.schedule.start_ns) and self.schedule.next_ns <= now and self._is_before_end()

    def has_backlog(self, now: int) -> bool:
        """The end has come, and what was due before it is unsent."""
        begun = bool(self.schedule.start_ns) and self._is_before_end()
        return begun and now < self.end_ns + self.config["drain_ns"]

    def take_due(self, now: int, free_since_ns: int) -> int:
        """Takes what is due. It could begin once it was due and something was free: later is our own lateness."""
        intended = self.schedule.take()
        could = max(intended, free_since_ns)
        self.count.add("scheduled")
        self.count.add("waited", free_since_ns > intended)
        self.count.add("late", now > could + LATE_NS)
        self.count.most("worst_late_ns", max(0, now - could))
        return intended

    def abandon_backlog(self, now: int) -> None:
        """What was due and will not be sent has waited at least until now: that much stands in the latencies.

        Connects beyond those that were asked for were never due.
        """
        kind, at = ("connect", CONNECT_NS_AT) if self.schedules_connects else ("request", REQUEST_NS_AT)
        while self.schedule_is_due(now) and (self.to_start or not self.schedules_connects):
            self.to_start -= self.schedules_connects
            self.count.latency(kind, at, now - self.schedule.take())
            self.count.add("scheduled")
            self.count.add("unsent")
        self.to_start = 0
