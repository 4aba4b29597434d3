"""Rates along a run's timeline, each None where too little of it was seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from estab.diagnose import accepts, facts
from estab.kernel.rules.accept_queue import is_full, room
from estab.records import RunResult, TimelinePoint

# Points of a timeline come ten a second: from one to the next but one.
_TWO_POINTS_S = 0.2
# Losses that come by chance, so many in the mean, are missing altogether once in exp(5) = 150 times.
_NOT_BY_CHANCE = 5
_SHORTEST_S = 0.5
_CONNECT_GIVEN_UP = "connect own_timeout"
# Looks that came less often in the mean can miss that a queue was emptied and filled again.
_TOO_SELDOM_S = 0.25
# Fewer accepts from one look to the next may be those of a program that takes one after the other.
_FEWEST_AT_ONCE = 4
_Accepted = tuple[TimelinePoint, int]  # a moment, and how many had been accepted by then


@dataclass(frozen=True)
class QueueRates:
    """What came and what was accepted, a second, over the `span_s` seconds in which the queue held something.

    `never_emptied` False: it may have been emptied in between, by a program that takes all that wait now and then.
    Where clients are not seen, `arrivals_per_s` is of packets: a SYN that is sent again counts again.
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
    attempted_at_all = run.timeline[-1].attempted
    unseen = run.program is not None and attempted_at_all == run.timeline[0].attempted
    came = _came_to_server if unseen else _attempted
    if run.command != "hold":
        # What is seen after the last attempt has no arrivals any more.
        points = _once_full([(point, count) for point, count in points if came(point) < came(run.timeline[-1])])
    return _between(run, points, came)


def _once_full(points: list[_Accepted]) -> list[_Accepted]:
    """From when the queue was full, if that is long enough: what came until then may have come at once."""
    full = next((i for i, (point, _) in enumerate(points) if _is_full(point)), 0)
    return points[full:] if points and points[-1][0].t_s - points[full][0].t_s >= _SHORTEST_S else points


def _is_full(point: TimelinePoint) -> bool:
    if point.queue_depth is None or point.queue_limit is None:
        return False
    return is_full(max(0, point.queue_depth), max(0, point.queue_limit))


def _attempted(point: TimelinePoint) -> int:
    return point.attempted


def _came_to_server(point: TimelinePoint) -> int:
    """Of a server whose clients are not seen: connections that were made, and packets that were turned away."""
    return (point.passive_opens or 0) + (point.listener_drops or 0)


def _between(run: RunResult, points: Sequence[_Accepted], came: Callable[[TimelinePoint], int]) -> QueueRates | None:
    """From the first of `points` to the last, by each of which so many `came`."""
    if len(points) < 2:
        return None
    (first, accepted_first), (last, accepted_last) = points[0], points[-1]
    span = last.t_s - first.t_s
    if not (math.isfinite(span) and span >= _SHORTEST_S):
        return None
    arrivals_per_s = max(0, came(last) - came(first)) / span
    accepts_per_s = max(0, accepted_last - accepted_first) / span
    too_seldom = span > _TOO_SELDOM_S * (len(points) - 1)
    emptied = too_seldom or _drained(run.timeline, came) or _taken_all_at_once(points)
    return QueueRates(span, arrivals_per_s, accepts_per_s, never_emptied=not emptied)


def _drained(timeline: Sequence[TimelinePoint], came: Callable[[TimelinePoint], int]) -> bool:
    """Was the queue full at some time, and three quarters empty later, while clients went on coming?"""
    was_full = False
    for now in timeline[:-1]:
        if now.queue_depth is None or now.queue_limit is None:
            continue
        if was_full and now.queue_depth * 4 <= now.queue_limit and came(now) < came(timeline[-1]):
            return True
        was_full = was_full or _is_full(now)
    return False


def _taken_all_at_once(points: Sequence[_Accepted]) -> bool:
    """Whether accepts came a queueful at a time, and none by looks between: by a program that takes all that wait.

    One that takes one after the other, however slowly, has accepted some by each look, or few by any.
    """
    gains = [max(0, more - count) for (_, count), (_, more) in pairwise(points)]
    queueful = max(_FEWEST_AT_ONCE, max((room(point.queue_limit or 0) for point, _ in points), default=0) * 3 // 4)
    at_once = [gain for gain in gains if gain >= queueful]
    return len(at_once) > 1 and 2 * sum(at_once) > sum(gains) and 3 * gains.count(0) >= len(gains)


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


def accepted_along(run: RunResult) -> list[_Accepted]:
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
