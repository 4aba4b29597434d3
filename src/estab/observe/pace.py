"""How often something costly may be done, so that watching stays cheap. Clocks are passed in."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
Clock = Callable[[], float]

LOOK_EVERY_S = 0.2
LOOK_SHARE = 0.0015
LOOKS_ALLOWED_S = 0.02  # beyond their share, so that a short run has a history too
CHEAP_LOOKS_ALLOWED_S = 0.06  # the same where one costs little
CHEAP_LOOK_S = 0.01
LOOK_AT_A_SOCKET_S = 2e-6  # until it has been measured here


class Pace:
    """Work that recurs: due again so late that it keeps to `share` of one core, and no sooner than `every_s` seconds.

    `clock` tells when it is due. `cost` is what the work uses up; by default the CPU time of all threads.
    """

    def __init__(
        self, share: float, every_s: float, *, clock: Clock = time.monotonic, cost: Clock = time.process_time
    ) -> None:
        self._share, self._every_s = share, every_s
        self._clock, self._cost = clock, cost
        self._due_s = 0.0

    @property
    def due(self) -> bool:
        """Whether it may be done now."""
        return self._clock() >= self._due_s

    def spend(self, work: Callable[[], T]) -> T:
        """What `work` returns. What it cost, though it raises, decides when it is due again."""
        began = self._cost()
        try:
            return work()
        finally:
            cost = self._cost() - began
            self._due_s = self._clock() + max(self._every_s, cost / self._share)


class LookBudget:
    """The closer looks of one run, which cost more with the number of connections: all together keep to a share.

    At most five a second and 0.15% of the time since `begin`, with a little beyond that to begin with. What a look will
    cost is known before it is made: a socket's part is measured, and none is taken to cost less than the last one.
    """

    def __init__(self, clock: Clock, cost: Clock) -> None:
        self._clock, self._cost = clock, cost
        self._began_s = self._next_s = clock()
        self._spent_s = self._last_s = 0.0
        self._at_a_socket_s = LOOK_AT_A_SOCKET_S

    def begin(self) -> None:
        """The run begins now."""
        self._began_s = self._clock()
        self._next_s = self._began_s + LOOK_EVERY_S

    def allows(self, connections: int) -> bool:
        """Whether a look at so many is due and affordable. Those to come wait until all keep to their share."""
        now = self._clock()
        if now < self._next_s:
            return False
        # A dump goes through the kernel's whole table, however few it finds.
        expected = max(connections * self._at_a_socket_s, self._last_s)
        beyond = CHEAP_LOOKS_ALLOWED_S if expected <= CHEAP_LOOK_S else LOOKS_ALLOWED_S
        return self._spent_s + expected <= beyond + (now - self._began_s) * LOOK_SHARE

    def spend(self, look: Callable[[], None], connections: int) -> None:
        """Makes the look and counts what it cost."""
        began = self._cost()
        look()
        self._last_s = self._cost() - began
        self._spent_s += self._last_s
        if connections:
            self._at_a_socket_s = self._last_s / connections
        self._next_s = self._clock() + LOOK_EVERY_S
