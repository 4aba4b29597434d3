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
from statistics import fmean, pvariance

from estab.diagnose.syn_path import FEW
from estab.records import TimelinePoint

_TICK_S = 0.2
_EVEN = 0.4  # variance over mean of counts: 1 where chance picks them, next to 0 where a clock lets them through
_WINDOWS = 8
_PER_WINDOW = 2.0
_MORE = 1.3  # so much more must be offered than gets through


@dataclass(frozen=True)
class SteadyRate:
    """`per_s` connects got through in each of `windows` windows, while `offered_per_s` were begun.

    `burst`: so many got through before the first was kept back. `scatter`: variance over mean of what got through in a
    window; `offered_scatter`: of what was begun, which tells a limit from a share where it is not next to 0.
    """

    per_s: float
    offered_per_s: float
    burst: int
    scatter: float
    offered_scatter: float
    windows: int

    @property
    def even(self) -> bool:
        """Whether what got through is as even as no choice by chance is."""
        return self.scatter <= _EVEN

    @property
    def follows_no_share(self) -> bool:
        """Whether it stayed even although what was offered did not: a share of it would have scattered as well."""
        return self.even and self.offered_scatter >= max(_EVEN, 2 * self.scatter)


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
    through = [later.connected - earlier.connected for earlier, later in pairwise(edges)]
    begun = [later.attempted - earlier.attempted for earlier, later in pairwise(edges)]
    return SteadyRate(
        per_s=passed / span_s,
        offered_per_s=offered / span_s,
        burst=kept_back[0].connected,
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


def _scatter(counts: Sequence[int]) -> float:
    mean = fmean(counts)
    return pvariance(counts) / mean if mean else 0.0
