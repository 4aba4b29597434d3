"""Whether lost SYNs were every second, third or so of all, as evenly as turns are taken. Pure; no verdict.

A balancer that deals SYNs out in turn (round robin) to several members of which one is dead loses each k-th of them,
whoever sent it: a SYN that is sent again has a new turn, so that most connects come through at a later one, as where
SYNs are lost by chance. What tells is how even it is: of s SYNs chance loses s/k, give or take the square root of that;
turns lose s/k, give or take one.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from estab.diagnose import facts
from estab.records import RunResult, TimelinePoint

_RESENT_S = 1.03  # TCP_TIMEOUT_INIT, and what the timer wheel adds (docs/kernel.md rule 17)
_LONGEST_S = 3600.0
_STEP_S = 0.1  # of a timeline
_WINDOW_STEPS = 5
_PER_WINDOW = 6.0
_WINDOWS = 7
_EVEN = 0.2  # of what chance gives: in 1 of 100 such runs it is as even
_OFF = 1.5  # SYNs that the share of a whole run may differ from that of turns
_MOST_MEMBERS = 8


@dataclass(frozen=True)
class Turns:
    """Of `sent` SYNs `lost` were lost, each `members`-th; `scatter`: how they scatter, where chance gives 1."""

    sent: int
    lost: int
    members: int
    scatter: float


def taken_in_turn(run: RunResult) -> Turns | None:
    """The turns; None: chance may have done it, or too little was seen to tell."""
    timeout_s, again = facts.asked_timeout(run), run.client.rose(facts.SYN_RETRANS)
    if timeout_s is None or again is None or not _in_order(run.timeline):
        return None
    tries = int(timeout_s // _RESENT_S)  # so often a SYN is sent again before its connect is given up
    if tries < 1 or tries > 1 + facts.linear_timeouts(run):
        return None
    sent, lost = run.funnel.attempted + again, again + facts.connect_timeouts(run)
    members = round(sent / lost) if lost > 0 else 0
    if not 2 <= members <= _MOST_MEMBERS or abs(lost - sent / members) > _OFF:
        return None
    scatter = _scatter(run.timeline, timeout_s, tries)
    return Turns(sent, lost, members, scatter) if scatter is not None and scatter <= _EVEN else None


def _in_order(timeline: Sequence[TimelinePoint]) -> bool:
    """Whether it has moments one after the other, within a time that is worth going through."""
    times = [point.t_s for point in timeline]
    return bool(times) and all(0 <= t_s <= _LONGEST_S for t_s in times) and times == sorted(times)


def _scatter(timeline: Sequence[TimelinePoint], timeout_s: float, tries: int) -> float | None:
    """Variance of what was lost in windows of half a second, over what chance gives. None: too few windows.

    SYNs are not seen, connects are: what was lost by a moment is what was sent less what connected; what was sent is
    what was begun, and what was lost `_RESENT_S` earlier and not given up.
    """
    begun, connected, failed = (_along(timeline, field) for field in ("attempted", "connected", "failed"))
    steps = int(timeline[-1].t_s / _STEP_S) + 1
    lag, lost, sent = _RESENT_S / _STEP_S, [0.0] * steps, [0.0] * steps
    for step in range(steps):
        t_s = step * _STEP_S
        given_up = failed(t_s - _RESENT_S + timeout_s - tries * _RESENT_S)
        sent[step] = begun(t_s) + max(0.0, _at(lost, step - lag) - given_up)
        lost[step] = sent[step] - connected(t_s)
    # Beyond the last connect samples come seldom.
    last = next(point.t_s for point in timeline if point.attempted == timeline[-1].attempted)
    edges = [step for step in range(0, steps, _WINDOW_STEPS) if step * _STEP_S <= last]
    windows = [(sent[b] - sent[a], lost[b] - lost[a]) for a, b in pairwise(edges)]
    windows = [(many, gone) for many, gone in windows if many >= _PER_WINDOW]
    if len(windows) < _WINDOWS:
        return None
    share = sum(gone for _, gone in windows) / sum(many for many, _ in windows)
    if not 0 < share < 1:
        return None
    by_chance = share * (1 - share)
    return sum((gone - share * many) ** 2 / (many * by_chance) for many, gone in windows) / (len(windows) - 1)


def _along(timeline: Sequence[TimelinePoint], field: str) -> Callable[[float], float]:
    """A count of the timeline at any moment, in between as if it rose evenly."""
    times = [point.t_s for point in timeline]
    counts = [float(getattr(point, field)) for point in timeline]

    def at(t_s: float) -> float:
        place = bisect_right(times, t_s)
        if place == 0:
            return counts[0] * max(0.0, t_s / times[0]) if times[0] > 0 else 0.0
        if place == len(times):
            return counts[-1]
        part = (t_s - times[place - 1]) / (times[place] - times[place - 1])
        return counts[place - 1] + part * (counts[place] - counts[place - 1])

    return at


def _at(values: Sequence[float], step: float) -> float:
    """A value between two steps; 0 before the first."""
    if step < 0:
        return 0.0
    whole = math.floor(step)
    if whole + 1 >= len(values):
        return values[-1]
    return values[whole] + (step - whole) * (values[whole + 1] - values[whole])
