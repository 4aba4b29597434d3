"""What is the matter with one listener right now, in a word and in a sentence. Pure: facts in, a condition out.

It asks the kernel's rules how much fits and what an overflow is. What explains a whole host is the judge's to say
(`estab.diagnose`); this is the reading of one queue while it moves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from estab.kernel.rules import accept_queue
from estab.records import Process
from estab.report.words import clean
from estab.words import plural

SOON_S = 60.0  # what fills later than that is not called filling
DISTRESS = 3  # the severity from which on a listener turns clients away, or soon will
STUCK_S = 5.0  # so long nothing may leave a queue before it is called stuck


@dataclass(frozen=True, slots=True)
class ListenerFacts:
    """One listener now. Rates are a second; None: not known. `unmoved_s`: how long its depth has not fallen while
    something waited. `overflows`: whether the namespace's ListenOverflows rose since the last look. `is_unix`: of a
    UNIX socket, whose drops nobody counts (docs/kernel.md rule 31).
    """

    depth: int
    limit: int
    drops_per_s: float | None = None
    growth_per_s: float | None = None
    unmoved_s: float | None = None
    overflows: bool | None = None
    owners: tuple[Process, ...] = ()
    is_unix: bool = False


@dataclass(frozen=True, slots=True)
class ListenerCondition:
    """`word` for a column, `says` for a line, `severity` 0 (nothing) to 5. `full_in_s`: where it is filling."""

    word: str
    says: str
    severity: int
    full_in_s: float | None = None


def judge(facts: ListenerFacts) -> ListenerCondition:
    """The worst that is so. Order: what keeps the owner from accepting, then overflow, then what leads to it."""
    for look in (_without_descriptors, _full, _dropping, _filling, _stuck):
        if (judgement := look(facts)) is not None:
            return judgement
    if facts.depth > 0:
        return ListenerCondition("waiting", f"{plural(facts.depth, 'connection')} to be accepted", 1)
    return ListenerCondition("ok", "nothing waits", 0)


def is_full(depth: int, limit: int) -> bool:
    """Whether the queue takes no more."""
    return accept_queue.is_full(max(0, depth), max(0, limit))


def full_in_s(facts: ListenerFacts) -> float | None:
    """Seconds until the queue is full at the rate at which it grows; None where it does not grow."""
    if facts.growth_per_s is None or facts.growth_per_s <= 0 or facts.depth <= 0:
        return None
    return max(0.0, accept_queue.room(facts.limit) - facts.depth) / facts.growth_per_s


def _without_descriptors(facts: ListenerFacts) -> ListenerCondition | None:
    """A process whose descriptors are used up cannot accept (accept(2): EMFILE), however short its queue is."""
    for owner in facts.owners:
        if owner.fds is not None and owner.nofile_soft is not None and owner.fds >= owner.nofile_soft:
            who = f"{clean(owner.name or 'the owner')} ({owner.pid})"
            wait = f", {plural(facts.depth, 'waits', 'wait')}" if facts.depth else ""
            says = f"{who} has all {plural(owner.nofile_soft, 'descriptor')} in use: it can't accept{wait}"
            return ListenerCondition("no fds", says, 5 if facts.depth else 3)
    return None


def _full(facts: ListenerFacts) -> ListenerCondition | None:
    if not is_full(facts.depth, facts.limit):
        return None
    fits = plural(accept_queue.room(facts.limit), "fits", "fit")
    if facts.drops_per_s:
        says = f"full ({fits}): {rate(facts.drops_per_s)} packets a second are turned away"
        return ListenerCondition("OVERFLOW", says, 5)
    next_one = "gets EAGAIN, or waits where it blocks" if facts.is_unix else "is turned away"
    return ListenerCondition("FULL", f"full ({fits}): whoever connects next {next_one}", 4)


def _dropping(facts: ListenerFacts) -> ListenerCondition | None:
    """Drops at a queue that has room now: it was full between two looks, or they are TCP_DEFER_ACCEPT's (rule 5)."""
    if not facts.drops_per_s:
        return None
    drops = f"{rate(facts.drops_per_s)} packets a second dropped"
    if facts.overflows is False:
        return ListenerCondition("drops", f"{drops} without an overflow: TCP_DEFER_ACCEPT or a full SYN queue", 3)
    return ListenerCondition("OVERFLOW", f"{drops}: the queue was full between two looks", 4)


def _filling(facts: ListenerFacts) -> ListenerCondition | None:
    left = full_in_s(facts)
    if left is None or left > SOON_S:
        return None
    return ListenerCondition("filling", f"filling: at this rate full in {_soon(left)}", 3, left)


def _stuck(facts: ListenerFacts) -> ListenerCondition | None:
    if facts.unmoved_s is None or facts.unmoved_s < STUCK_S or facts.depth <= 0:
        return None
    return ListenerCondition(
        "stuck", f"{plural(facts.depth, 'waits', 'wait')} and none was accepted for {facts.unmoved_s:,.0f} s", 3
    )


def _soon(seconds: float) -> str:
    return "less than 1 s" if seconds < 1 else f"{math.ceil(seconds):,} s"


def rate(value: float) -> str:
    """A rate as people read it: `0.4`, `12`, `1,250`; what is more than nothing is never `0.0`."""
    if 0 < value < 0.05:
        return "<0.1"
    return f"{value:,.0f}" if value >= 9.5 else f"{value:.1f}"
