"""Rates along a run's timeline, each None where too little of it was seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

from estab.records import RunResult, TimelinePoint


@dataclass(frozen=True)
class QueueRates:
    """What came and what was accepted, a second, over the `span_s` seconds in which the queue held something."""

    span_s: float
    arrivals_per_s: float
    accepts_per_s: float


def queue_rates(run: RunResult) -> QueueRates | None:
    """Arrivals and accepts while the queue was not empty; None where under half a second of that was seen.

    `hold` closes nothing meanwhile: there a server that does not count accepts for us shows them by its descriptors.
    (Connected less queued is no measure: with ghosts the client has more connections than the server ever had.)
    """
    points = [p for p in run.timeline if p.queue_depth and accepted_at(p, run) is not None]
    if len(points) < 2:
        return None
    first, last = points[0], points[-1]
    span = last.t_s - first.t_s
    if not (math.isfinite(span) and span >= 0.5):
        return None
    accepts = (accepted_at(last, run) or 0) - (accepted_at(first, run) or 0)
    return QueueRates(span, max(0, last.attempted - first.attempted) / span, max(0, accepts) / span)


def accepted_at(point: TimelinePoint, run: RunResult) -> int | None:
    """Accepted by then. Where the server did not say, its descriptors tell: in a hold nothing is closed meanwhile."""
    if point.accepted is None and run.command == "hold" and point.open > 0:
        return point.server_fds
    return point.accepted


def attempts_per_s(run: RunResult) -> float | None:
    """Connects a second from the start until the last of them had been begun. None: no timeline, or no attempt."""
    total = run.funnel.attempted
    reached = [p.t_s for p in run.timeline if p.attempted >= total]
    if not total or not reached or not (math.isfinite(reached[0]) and reached[0] > 0):
        return None
    return total / reached[0]
