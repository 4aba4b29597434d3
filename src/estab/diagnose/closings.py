"""Connections that were made and ended before their time: how many, when, and how many stayed. No verdict.

A FIN is read as the end (`eof`), a RST as ECONNRESET, or as EPIPE by who writes after it (docs/kernel.md rule 14).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from estab.diagnose import facts
from estab.diagnose.evidence import measured, unknown
from estab.kernel.formats import first_bytes
from estab.records import Evidence, Failure, FailureKind, RunResult, ServerSample, TimelinePoint
from estab.records.failure import OF_CONNECTED
from estab.words import plural

ENDED_EARLY = frozenset({"eof", *facts.RESETS})


def ended_early(run: RunResult) -> int:
    """Connections that were accepted and then closed or reset by the other end, before their time.

    Without those that the server never had, for which it counts SyncookiesFailed or EmbryonicRsts.
    """
    never_had = sum(max(0, run.server.rose(name) or 0) for name in (facts.COOKIES_FAILED, facts.EMBRYONIC_RSTS))
    return facts.failed(run, OF_CONNECTED, ENDED_EARLY) - min(never_had, resets(run))


def resets(run: RunResult) -> int:
    """Of the connections that ended early those that were reset."""
    return facts.failed(run, OF_CONNECTED, facts.RESETS)


def unanswered(run: RunResult) -> int:
    """Connections that were made and then got no answer in time."""
    return facts.failed(run, OF_CONNECTED, facts.TIMEOUTS)


def reset_or_unanswered(run: RunResult) -> int:
    """Connections that were made, and were reset or got no answer in time."""
    return resets(run) + unanswered(run)


def reset_or_unanswered_evidence(run: RunResult) -> Evidence:
    """How many these are."""
    ended = reset_or_unanswered(run)
    text = f"{plural(ended, 'connection was', 'connections were')} reset once made, or got no answer"
    return measured("failures", "ECONNRESET, EPIPE, own_timeout once connected", ended, text)


def refused_in_words(run: RunResult) -> Failure | None:
    """The replies that say, in place of an answer, that the server has as many connections as it may."""
    told = (failure for failure in run.failures if failure.first_bytes is not None)
    return next((failure for failure in told if first_bytes.tells_full(failure.first_bytes or "")), None)


# A number that is reached parts those before it from those after it: all pairs are in order, or none where the oldest
# are ended. Threads that accept side by side, or processes that count apart, blur the border (NATS: five of six); a
# share that is taken at any time leaves half.
_PARTED, _MIXED = 0.2, 0.25
# Standard deviations of U where order plays no part (Mann and Whitney, 1947): one in eighty is beyond.
_BY_CHANCE = 2.5
_TOO_FEW = 0.1  # a deviation above it: half may be chance as well


def order_decided(run: RunResult) -> bool | None:
    """Whether it was their turn that decided which connections stayed: the first of them did, or the last.

    False: order played no part. None: it can't be told, for they were too few, or it was not recorded.
    """
    bounds = _share_in_order(run)
    if bounds is None:
        return None
    low, high, deviation = bounds
    if low >= 1 - _PARTED or high <= _PARTED:
        return True if min(abs(low - 0.5), abs(high - 0.5)) >= _BY_CHANCE * deviation else None
    return False if low >= _MIXED and high <= 1 - _MIXED and deviation <= _TOO_FEW else None


def _share_in_order(run: RunResult) -> tuple[float, float, float] | None:
    """Of the pairs of one that the server kept and one that failed, the least and the greatest share in order, and the
    standard deviation by chance. What the client alone holds the server never kept: its pairs may be either."""
    order = run.arrival_order
    if order is None or min(order.pairs, order.stayed, order.failed) <= 0:
        return None
    kept_by_server = order.stayed - _ghosts_left(run, order.stayed)
    if kept_by_server <= 0:
        return None
    pairs = kept_by_server * order.failed
    low = max(0, order.in_order - (order.pairs - pairs)) / pairs
    deviation = math.sqrt((kept_by_server + order.failed + 1) / (12 * pairs))
    return min(low, 1.0), min(order.in_order / pairs, 1.0), deviation


def order_evidence(run: RunResult) -> Evidence:
    """How many of the pairs were in order."""
    order = run.arrival_order
    if order is None or order.pairs <= 0:
        return unknown("arrival_order", "in_order", "whether those that stayed had come first was not recorded")
    text = f"in {order.in_order:,} of {plural(order.pairs, 'pair')} what stayed had come before what failed"
    return measured("arrival_order", "in_order", order.in_order, text, order.pairs)


def _ghosts(run: RunResult) -> int:
    """Connections that the client alone holds."""
    return run.ghosts.count if run.ghosts is not None else 0


def _ghosts_left(run: RunResult, still_open: int) -> int:
    """Those of them that can be among what is open later: what the server closes at once is one until its FIN arrives.

    So of the ghosts those are taken off that ended between the count of both ends and then.
    """
    if run.ghosts is not None and run.ghosts.at_close is not None:
        return run.ghosts.at_close
    ended_since = max(0, run.ghosts.client_established - still_open) if run.ghosts is not None else 0
    return max(0, _ghosts(run) - ended_since)


def first_stayed(run: RunResult) -> bool | None:
    """Whether those that came first stayed, and those that came after them failed. None: it can't be told."""
    decided, bounds = order_decided(run), _share_in_order(run)
    return decided if not decided or bounds is None else bounds[0] >= 1 - _PARTED


@dataclass(frozen=True)
class Kept:
    """What was left of a load that keeps its connections, when it was last seen before its own end.

    `open` stayed at both ends, and nothing more ended for `quiet_s`. `lived_s`: how long each of the others lived on
    average beside those, once it had been taken out of the accept queue. `fewest`: so few were open when some had ended
    already.
    `held` and `waiting`: what the server's program held at the port then, and what it had not accepted; None: not seen.
    """

    open: int
    quiet_s: float
    lived_s: float
    fewest: int
    held: int | None
    waiting: int | None


def kept(run: RunResult) -> Kept | None:
    """What stayed open. None: the load does not keep its connections (churn), or no moment of it was seen."""
    points = [point for point in run.timeline if not point.completed]
    ended = ended_early(run)
    if run.command == "churn" or not points or not ended:
        return None
    last = points[-1]
    span = ended_between_s(run)
    last_s = None if span is None else span[1]
    quiet = [*takewhile(lambda point: (point.open, point.failed) == (last.open, last.failed), reversed(points))]
    at_server: Sequence[ServerSample] = [look for look in run.server.looks if look.load_open] or quiet
    beside = sum(_beside(point, last.open) * _lasted_s(point, later, last_s) for point, later in pairwise(points))
    if span is not None and facts.asked_rate(run) is None:
        # All began at once, and on a busy machine the first point comes late.
        beside += max(0, points[0].connected - last.open) * min(points[0].t_s, span[0])
    stayed = max(0, last.open - _ghosts_left(run, last.open))
    fewest = min((point.open for point in points if _ended(point)), default=stayed)
    return Kept(
        open=stayed,
        # What ended after the load had begun to close was ended by the load.
        quiet_s=last.t_s - (quiet[-1].t_s if last_s is None or last_s > last.t_s else last_s),
        lived_s=beside / ended,
        fewest=fewest,
        held=max((sample.server_held for sample in at_server if sample.server_held is not None), default=None),
        waiting=min((sample.queue_depth for sample in at_server if sample.queue_depth is not None), default=None),
    )


def ended_between_s(run: RunResult) -> tuple[float, float] | None:
    """When the first and the last connection ended early, in seconds since the start. None: not recorded, or none."""
    early = [failure for failure in run.failures if _is_early_end(failure.phase, failure.errno)]
    first = [failure.first_s for failure in early if failure.first_s is not None]
    last = [failure.last_s for failure in early if failure.last_s is not None]
    return (min(first), max(last)) if early and len(first) == len(last) == len(early) else None


def _is_early_end(phase: str, errno: str) -> bool:
    return phase in OF_CONNECTED and errno in ENDED_EARLY


def _lasted_s(point: TimelinePoint, later: TimelinePoint, last_s: float | None) -> float:
    """From a moment to the next, as far as something ended after it: between two may lie a second, where it is busy."""
    until_s = later.t_s if last_s is None else min(later.t_s, last_s)
    return max(0.0, until_s - point.t_s)


def _beside(point: TimelinePoint, stayed: int) -> int:
    """How many were open beside those that stayed, and had been accepted."""
    return max(0, point.open - (point.queue_depth or 0) - stayed)


def _ended(point: TimelinePoint) -> int:
    kinds = ((FailureKind.parse(kind), count) for kind, count in (point.failures or {}).items())
    return sum(count for kind, count in kinds if _is_early_end(*kind))
