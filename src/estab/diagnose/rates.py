"""Rates along a run's timeline, each None where too little of it was seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from estab.diagnose import accepts, facts
from estab.records import RunResult, TimelinePoint

# Points of a timeline come ten a second: from one to the next but one.
_TWO_POINTS_S = 0.2
# Losses that come by chance, so many in the mean, are missing altogether once in exp(5) = 150 times.
_NOT_BY_CHANCE = 5
_SHORTEST_S = 0.5
_CONNECT_GIVEN_UP = "connect own_timeout"


@dataclass(frozen=True)
class QueueRates:
    """What came and what was accepted, a second, over the `span_s` seconds in which the queue held something.

    `never_emptied` False: it may have been emptied in between, by a program that takes all that wait now and then.
    """

    span_s: float
    arrivals_per_s: float
    accepts_per_s: float
    never_emptied: bool = True


def queue_rates(run: RunResult) -> QueueRates | None:
    """Arrivals and accepts while the queue was not empty; None where under half a second of that was seen.

    (Connected less queued is no measure: with ghosts the client has more connections than the server ever had.)
    Of a server that a few looks showed, what its clients met: see `_by_its_clients`. Of a host without a run of ours,
    what it turned away: see `_by_its_drops`.
    """
    if run.server.looks:
        return _by_its_clients(run)
    if not run.timeline:
        return _by_its_drops(run)
    points = [(point, count) for point, count in accepted_along(run) if point.queue_depth]
    if run.command != "hold":
        # What is seen after the last attempt has no arrivals any more.
        points = [(point, count) for point, count in points if point.attempted < run.timeline[-1].attempted]
    if len(points) < 2:
        return None
    (first, accepted_first), (last, accepted_last) = points[0], points[-1]
    span = last.t_s - first.t_s
    if not (math.isfinite(span) and span >= _SHORTEST_S):
        return None
    return QueueRates(
        span, max(0, last.attempted - first.attempted) / span, max(0, accepted_last - accepted_first) / span
    )


def _by_its_clients(run: RunResult) -> QueueRates | None:
    """What came and what got in while connects were given up all the time. None: there were times without.

    A full queue lets in as many as are accepted, and drops the SYNs of all others. Those that our own timeout ended
    were begun that much earlier. Where none was lost for longer than chance makes it, the queue had been emptied.
    """
    timeout_s = facts.asked_timeout(run)
    if timeout_s is None:
        return None
    given_up = [(point.t_s - timeout_s, (point.failures or {}).get(_CONNECT_GIVEN_UP, 0)) for point in run.timeline]
    lost = [(then_s, t_s) for (then_s, before), (t_s, total) in pairwise(given_up) if total > before]
    if len(lost) < 2:
        return None
    began_s, ended_s = lost[0][1], lost[-1][1]
    longest_s = max(then_s - earlier_s for (_, earlier_s), (then_s, _) in pairwise(lost))
    span_s = ended_s - began_s
    if not span_s >= _SHORTEST_S or longest_s > max(_TWO_POINTS_S, _NOT_BY_CHANCE * span_s / given_up[-1][1]):
        return None
    during = [point for point in run.timeline if began_s <= point.t_s <= ended_s]
    if len(during) < 2:
        return None
    first, last = during[0], during[-1]
    seen_s = last.t_s - first.t_s
    return QueueRates(seen_s, (last.attempted - first.attempted) / seen_s, (last.connected - first.connected) / seen_s)


def _by_its_drops(run: RunResult) -> QueueRates | None:
    """What was accepted and what was turned away from one look at a full queue to the next. None: it had been emptied.

    One accept makes a place that the next client takes: full is then three quarters at both looks. What two looks
    can't see is a queue that was emptied between them and filled again (`never_emptied`).
    Who was turned away is counted in packets: one that is sent again within that time counts twice.
    """
    watch = run.server.listener
    accepted = accepts.over(run) if accepts.alone(run) else None
    depths = [moment.depth for moment in accepts.of_run(run)] or [0]
    if watch is None or not watch.drops or watch.samples < 2 or min(depths) * 4 < facts.room(watch) * 3:
        return None
    if accepted is None or accepted.most is None or accepted.span_s < _SHORTEST_S:
        return None
    return QueueRates(
        accepted.span_s,
        arrivals_per_s=(accepted.most + watch.drops) / accepted.span_s,
        accepts_per_s=accepted.most / accepted.span_s,
        # First in, first out: who waited last at the first look waits still. Counters of more accepts tell neither.
        never_emptied=accepted.most < depths[0],
    )


def accepted_along(run: RunResult) -> list[tuple[TimelinePoint, int]]:
    """The points of the timeline, each with what had been accepted by then.

    By our own server's word; else by PassiveOpens less what waits, an upper bound where others listen in its namespace
    (`accepts.totals`); else, in a hold, which closes nothing meanwhile, by the server's descriptors.
    """
    told = [(point, point.accepted) for point in run.timeline if point.accepted is not None]
    if told:
        return told
    seen = [point for point in run.timeline if point.queue_depth is not None and point.passive_opens is not None]
    if seen:
        moments = [accepts.Moment(point.t_s, point.queue_depth or 0, point.passive_opens) for point in seen]
        bounds = zip(seen, accepts.totals([accepts.Moment(0.0, 0, 0), *moments])[1:], strict=True)
        return [(point, bound) for point, bound in bounds if bound is not None]
    open_in_hold = [point for point in run.timeline if run.command == "hold" and point.open > 0]
    return [(point, point.server_fds) for point in open_in_hold if point.server_fds is not None]


def attempts_per_s(run: RunResult) -> float | None:
    """Connects a second from the start until the last of them had been begun. None: no timeline, or no attempt."""
    total = run.funnel.attempted
    reached = [p.t_s for p in run.timeline if p.attempted >= total]
    if not total or not reached or not (math.isfinite(reached[0]) and reached[0] > 0):
        return None
    return total / reached[0]
