"""Whether connects got through at a steady rate, whatever was offered. Pure; no verdict.

A limit by token bucket (nftables `limit`, iptables `hashlimit`, a policer, a cloud's quota) lets a burst through and
then R a second, as evenly as a clock: net/netfilter/nft_limit.c `nft_limit_eval`. Successes that chance or a hash picks
from arrivals scatter like these: so many a window, plus or minus the square root.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from estab.diagnose.syn_path import FEW
from estab.records import TimelinePoint

_TICK_S = 0.2
# Variance over mean of counts, less the greatest eighth: some 0.6 where chance picks them, below this in 1 of 50 such
# runs, next to 0 where a clock lets them through.
EVEN = 0.25
_UNEVEN = 0.1  # of what is begun: below it a clock begins it
_STALLS = 8  # a busy machine's samples come late now and then: one in so many windows is left out
_BURST = 2.5  # standard deviations by which more got through at first than the later share gives
_WINDOWS = 8
_PER_WINDOW = 2.0
_MORE = 1.3  # so much more must be offered than gets through


@dataclass(frozen=True)
class SteadyRate:
    """`per_s` connects got through in each of `windows` windows, while `offered_per_s` were begun.

    `burst`: so many of the first `burst_of` got through, before and as some were kept back. `scatter`: variance over
    mean of what got through in a window; `offered_scatter`: of what was begun, which tells a limit from a share where
    it is not next to 0.
    """

    per_s: float
    offered_per_s: float
    burst: int
    burst_of: int
    scatter: float
    offered_scatter: float
    windows: int

    @property
    def even(self) -> bool:
        """Whether what got through is as even as no choice by chance is."""
        return self.scatter <= EVEN

    @property
    def follows_no_share(self) -> bool:
        """Whether it stayed even although what was offered did not, where a share would not have begun with a burst."""
        share = self.per_s / self.offered_per_s
        beyond = self.burst - share * self.burst_of
        began_with_burst = beyond >= _BURST * math.sqrt(share * (1 - share) * self.burst_of)
        return self.even and self.offered_scatter >= max(_UNEVEN, 2 * self.scatter) and began_with_burst


def steady_rate(timeline: Sequence[TimelinePoint]) -> SteadyRate | None:
    """How connects got through while more were begun than did. None: that was not so for long enough to tell."""
    kept_back = _while_kept_back(timeline)
    if len(kept_back) < 2:
        return None
    span_s = kept_back[-1].t_s - kept_back[0].t_s
    passed = kept_back[-1].connected - kept_back[0].connected
    offered = kept_back[-1].attempted - kept_back[0].attempted
    if not (math.isfinite(span_s) and span_s > 0) or passed <= 0 or offered < _MORE * passed:
        return None
    window_s = max(_TICK_S, _PER_WINDOW * span_s / passed)
    edges = _every(kept_back, window_s)
    if len(edges) <= _WINDOWS:
        return None
    windows = [(earlier, later, later.t_s - earlier.t_s) for earlier, later in pairwise(edges)]
    through = [(later.connected - earlier.connected, seconds) for earlier, later, seconds in windows]
    begun = [(later.attempted - earlier.attempted, seconds) for earlier, later, seconds in windows]
    return SteadyRate(
        per_s=passed / span_s,
        offered_per_s=offered / span_s,
        burst=kept_back[0].connected,
        burst_of=kept_back[0].attempted,
        scatter=_scatter(through),
        offered_scatter=_scatter(begun),
        windows=len(through),
    )


def _while_kept_back(timeline: Sequence[TimelinePoint]) -> list[TimelinePoint]:
    """From when the first connects did not get through until the last was begun."""
    behind = [index for index, point in enumerate(timeline) if point.attempted - point.connected >= FEW]
    if not behind:
        return []
    last = timeline[-1].attempted
    return [point for point in timeline[behind[0] :] if point.attempted < last]


def _every(points: Sequence[TimelinePoint], window_s: float) -> list[TimelinePoint]:
    """Points that are `window_s` apart, or a little more."""
    edges = [points[0]]
    for point in points[1:]:
        if point.t_s - edges[-1].t_s >= window_s * 0.99:
            edges.append(point)
    return edges


def _scatter(windows: Sequence[tuple[int, float]]) -> float:
    """Of counts in windows of so many seconds, which on a busy machine differ."""
    per_s = sum(count for count, _ in windows) / sum(seconds for _, seconds in windows)
    if not per_s:
        return 0.0
    each = sorted((count - per_s * seconds) ** 2 / (per_s * seconds) for count, seconds in windows)
    kept = each[: len(each) - max(1, len(each) // _STALLS)]
    return math.fsum(kept) / len(kept)
