"""Which number to try next: pure decisions, from what the numbers before it gave."""

from __future__ import annotations

from dataclasses import dataclass, field

NEAR = 1.05  # a rate is known once what failed is no further above what was good
# Doubling from 1 to beyond a ceiling of 2 million takes 22 steps, halving what is left 20; two try what was reached.
MOST_STEPS = 50
MOST_RATE = 5e6
NEAR_S, NEAR_SHARE = 1.0, 0.1  # an idle time is known to a second, a short one to a tenth
MOST_ROUNDS = 8
_FIRST_S = 1.0  # the shortest rest that is tried first, where the bound allows for several beyond
_STEP = 1.5  # from one rest to the next of the first round
_AT_ONCE = 16  # rests that are tried side by side where one lies between two


@dataclass
class CeilingSearch:
    """The most connections, 1 to `most`: climb until some fail, back off to what was reached, close in from both sides.

    `low` held, `high` did not; None: nothing has failed yet.
    """

    most: int
    first: int
    low: int = 0
    high: int | None = None
    _reached: int | None = None
    steps: int = 0

    def next(self) -> int | None:
        """How many to try; None: the search is over, or given up."""
        if self.steps >= MOST_STEPS:
            return None
        if self.high is None:
            return None if self.low >= self.most else min(self.most, 2 * self.low or self.first)
        if self.high - self.low <= 1:
            return None
        if self._reached is not None and self.low < self._reached < self.high:
            return self._reached
        return self.low + 1 if self.low == self._reached else (self.low + self.high) // 2

    def held(self, asked: int) -> None:
        """All of them were held."""
        self.steps += 1
        self.low = max(self.low, asked)

    def failed(self, asked: int, reached: int) -> None:
        """Only `reached` of them were."""
        self.steps += 1
        self.high = asked if self.high is None else min(self.high, asked)
        self.low = min(self.low, self.high - 1)  # what held before does not any more
        self._reached = reached

    @property
    def confirmed(self) -> bool:
        """Whether `low` is the ceiling: it held, and one more did not."""
        return self.low > 0 and self.high == self.low + 1


@dataclass
class RateSearch:
    """The highest good rate: double until one is not, halve the distance (of logarithms), then try the best again.

    `least`: a lower one is not tried.
    """

    first: float
    least: float = 0.25
    good: list[float] = field(default_factory=list)
    bad: float | None = None
    confirmed: bool = False
    steps: int = 0

    @property
    def best(self) -> float | None:
        """The highest rate that was good."""
        return max(self.good, default=None)

    def next(self) -> float | None:
        """The rate to try; None: the search is over, or given up."""
        best = self.best
        if self.steps >= MOST_STEPS or self.confirmed or (best or 0) >= MOST_RATE:
            return None
        if self.bad is None:
            return 2 * best if best else self.first
        if best is None:
            return self.bad / 4 if self.bad / 4 >= self.least else None
        return best if self.bad <= best * NEAR else (best * self.bad) ** 0.5

    def tried(self, rate: float, *, good: bool) -> None:
        """What it gave. A rate that is good a second time is confirmed; one that is not takes those above it along."""
        self.steps += 1
        if good:
            self.confirmed = rate in self.good
            self.good.append(rate)
            return
        self.bad = rate if self.bad is None else min(self.bad, rate)
        self.good = [lower for lower in self.good if lower < self.bad]


@dataclass
class IdleSearch:
    """How long a connection may rest, up to `most_s`: first over all of it, then ever closer, many rests side by side.

    `borne_s` was the longest rest that was borne, `lost_s` the shortest after which connections were asked in vain;
    None: there was none. `ended_s`: connections ended by themselves after so long a rest, which needs no search.
    """

    most_s: float
    borne_s: float = 0.0
    lost_s: float | None = None
    ended_s: float | None = None
    rounds: int = 0

    def next(self) -> tuple[float, ...] | None:
        """The rests to try, ascending; None: the search is over, or given up."""
        if self.ended_s is not None or self.rounds >= MOST_ROUNDS or self.borne_s >= self.most_s:
            return None
        if self.lost_s is None:
            return self._ladder()
        if self.is_near:
            return None
        step_s = (self.lost_s - self.borne_s) / (_AT_ONCE - 1)
        rests = [self.borne_s + number * step_s for number in range(_AT_ONCE)]
        return tuple(rest_s for rest_s in rests if rest_s > 0)

    def _ladder(self) -> tuple[float, ...]:
        rests = [min(_FIRST_S, self.most_s / _AT_ONCE)]
        while rests[-1] * _STEP < self.most_s:
            rests.append(rests[-1] * _STEP)
        return (*rests, self.most_s)

    @property
    def is_near(self) -> bool:
        """Whether the time is known as well as was asked for."""
        if self.lost_s is None:
            return False
        return self.lost_s - self.borne_s <= min(NEAR_S, NEAR_SHARE * self.lost_s)

    def tried(self, borne_s: float | None, lost_s: float | None, ended_s: float | None) -> None:
        """What a round gave. What was borne before counts no more where less was lost now."""
        self.rounds += 1
        self.ended_s = ended_s
        self.lost_s = min((each for each in (self.lost_s, lost_s) if each is not None), default=None)
        self.borne_s = max(self.borne_s, borne_s or 0.0)
        if self.lost_s is not None and self.borne_s >= self.lost_s:
            self.borne_s = borne_s if borne_s is not None and borne_s < self.lost_s else 0.0


@dataclass
class SizeSearch:
    """Where sizes begin to be lost: `passes` passed, `fails` did not, and what lies between is tried side by side."""

    passes: int
    fails: int

    def next(self, at_once: int) -> list[int]:
        """At most so many sizes to try, ascending; none: it is over."""
        between = self.fails - self.passes - 1
        count = max(0, min(at_once, between))
        return [self.passes + (between + 1) * number // (count + 1) for number in range(1, count + 1)]

    def tried(self, passed: dict[int, bool]) -> None:
        """What became of them. A size that is lost speaks for all above it, whatever chance let through there."""
        self.fails = min([size for size, good in passed.items() if not good], default=self.fails)
        self.passes = max([size for size, good in passed.items() if good and size < self.fails], default=self.passes)
