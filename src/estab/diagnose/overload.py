"""Whether clients come faster than a server accepts for as long as they come, so that no queue is long enough. Pure.

Every suspect that names a queue asks here, so that none of them can praise a longer one where another says that it only
delays. A queue bridges what comes at once: connects that are begun together and then no more, a program that takes all
that wait now and then, clients of whom each waits for its answer before it comes again and is patient enough.
"""

from __future__ import annotations

import math

from estab.diagnose import facts
from estab.diagnose.rates import QueueRates, queue_rates
from estab.kernel.rules.accept_queue import delay_of_overflow_s
from estab.records import RunResult

MUCH_FASTER = 1.1  # than accepts: less may be what was under way at the first and at the last look
MOST_OF_THE_TIME = 0.5  # of that in which clients came: less is a while, however full the queue was


def outrun(run: RunResult) -> QueueRates | None:
    """Both rates, where more came than was accepted most of the time. None: it was not so, or was not seen."""
    return queue_rates(run) if why_held(run) is None else None


def comes_faster(run: RunResult) -> bool:
    """Whether more came than was accepted while the queue held something, for however long."""
    rates = queue_rates(run)
    return run.command != "hold" and rates is not None and rates.arrivals_per_s > MUCH_FASTER * rates.accepts_per_s


def perhaps_in_bursts(run: RunResult) -> bool:
    """Whether more came than was accepted, and the queue was or may have been emptied meanwhile, again and again."""
    rates = queue_rates(run)
    return rates is not None and comes_faster(run) and not rates.never_emptied


def why_held(run: RunResult) -> str | None:
    """Why a longer queue would have held what came, as a sentence. None: it only would have filled later."""
    if run.command == "hold":
        return "So many connections were opened and no more: a queue that is long enough holds them."
    rates = queue_rates(run)
    if rates is None:
        return "For how long more came than was accepted was not seen."
    if not comes_faster(run):
        return f"{rates.arrivals_per_s:,.0f}/s came, and {rates.accepts_per_s:,.0f}/s were accepted."
    return _why_for_a_while(run, rates)


def _why_for_a_while(run: RunResult, rates: QueueRates) -> str | None:
    """Why more came than was accepted only until the queue would have been emptied. None: it went on."""
    if not rates.never_emptied:
        return "The queue was emptied again and again, or may have been: a longer one holds what comes in between."
    if rates.span_s < MOST_OF_THE_TIME * run.load_s:
        return f"The queue was not empty for {rates.span_s:.1f} s of {run.load_s:.1f}: it was full for a while."
    waits_s = _longest_wait_s(run, rates)
    if waits_s is not None and waits_s < (facts.asked_timeout(run) or math.inf):
        return f"No more than {facts.asked_connections(run):,} can wait at once, and each for {waits_s:.1f} s at most."
    return None


def delay_s(run: RunResult, limit: int, size: int) -> float | None:
    """For how long a backlog of `size` instead of `limit` delays the overflow. None: not known, or it ends it."""
    rates = queue_rates(run)
    if rates is None or _longest_wait_s(run, rates) is not None:
        return None
    return delay_of_overflow_s(max(0, limit), max(size, limit, 0), rates.arrivals_per_s, rates.accepts_per_s)


def _longest_wait_s(run: RunResult, rates: QueueRates) -> float | None:
    """How long the last of all clients waits that a load can have at once. None: they come whoever waits.

    Who asks nothing is done once it is connected: it is in the queue still when the next one comes.
    """
    together = facts.asked_connections(run)
    waits = run.command in ("churn", "bench") and facts.asked_rate(run) is None and run.requests is not None
    return together / rates.accepts_per_s if waits and together and rates.accepts_per_s > 0 else None
