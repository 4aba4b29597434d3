"""Our own workers were too busy: what failed, or what was missed, is the generator's doing and not the target's.

Source: no kernel rule but our own clock. A worker that comes back to its loop later than the timeout first takes what
has come, 512 events; connections whose events are beyond these it ends, though they had long been answered. A worker at
100% CPU is no fault in itself: a closed loop is bound by CPU by design, and only a rate that was asked for, and missed,
tells that it was not enough.
"""

from __future__ import annotations

import math

from estab.diagnose import facts, program_cpu
from estab.diagnose.advice import changes
from estab.diagnose.cause import Cause, ConnectionStage, Judgement, NeedsRun, NotRebuilt
from estab.diagnose.data_path import data_path
from estab.diagnose.evidence import measured, unknown
from estab.diagnose.rates import attempts_per_s
from estab.records import Evidence, OpenLoop, Remedy, RunResult
from estab.records.failure import CLIENT_PHASES
from estab.words import plural, sentence

BUSY = 0.9  # of one core, for a worker
LATE = 0.5  # of the timeout: from here the lag alone can end a connection that was slow but sound
SOMEWHAT_LATE = 0.1  # of the timeout: it may have tipped some
MISSED = 0.9  # of the rate that was asked for
BEHIND = 0.05  # of an open loop's schedule: so many began late, and it was our doing
UNSENT = 0.02  # of it: so many had not begun when the run was given up
TAKEN_FIRST = 512  # events that a worker takes before it looks for overdue connections (MAX_EVENTS, _engine/client.h)


def judge_run(run: RunResult) -> Judgement:
    """Confirmed by own timeouts with our lag of their order, or by a rate that was missed for lack of our own CPU."""
    busy, lag = _busy(run), _lag_of_timeout(run)
    evidence = [
        *_cpu_evidence(busy),
        *_waited_evidence(run),
        *_lag_evidence(run),
        *_rate_evidence(run),
        *_schedule_evidence(run),
    ]
    own, could_end = _own_timeouts(run), _could_end(run)
    if own and lag is not None and lag >= LATE and own <= could_end:
        text = (
            "The load generator itself was late by about as long as the timeout: it made "
            f"{'the timeout' if own == 1 else f'all {own:,} timeouts'} itself."
        )
        return Judgement("confirmed", text, evidence)
    missed = _missed(run)
    if missed is not None and (why := _why_ours(run, busy)) is not None:
        return Judgement("confirmed", f"{missed} {why}", evidence)
    if own and could_end and lag is not None and lag >= SOMEWHAT_LATE:
        text = (
            f"Our own workers were late by {lag:.0%} of the timeout: of {plural(own, 'own timeout')} some may be ours."
        )
        return Judgement("possible", text, evidence)
    if own and could_end and lag is None:
        text = "How late our own workers came was not observed, so their timeouts cannot be judged."
        return Judgement("not_observed", text, evidence)
    if missed is not None and busy is None:
        return Judgement("not_observed", f"{missed} How busy our own workers were was not observed.", evidence)
    return Judgement("ruled_out", _why_not(run, busy, missed), evidence)


def failures(run: RunResult) -> int:
    """Connections that our own lateness can have ended."""
    return int(min(_own_timeouts(run), _could_end(run)))


def _own_timeouts(run: RunResult) -> int:
    """Connections that our own timeout ended, less those whose SYN or data the kernel had sent again.

    The kernel does so whatever the program does meanwhile (docs/kernel.md rule 17): those were not answered, and no lag
    of ours ended them.
    """
    own = facts.failed(run, CLIENT_PHASES, ("own_timeout",))
    data = data_path(run)
    return max(0, own - facts.unanswered_connects(run) - (data.stalled if data.requests_lost else 0))


def _why_not(run: RunResult, busy: float | None, missed: str | None) -> str:
    loop = run.open_loop
    if missed is not None:
        return f"{missed} Not a lack of CPU: something else held our workers."
    if loop is not None and loop.late > BEHIND * loop.scheduled:
        # The rate was met: it is a note on the latencies, and no limit.
        return (
            f"{loop.late:,} of {loop.scheduled:,} began late, at worst by {loop.worst_late_ms:,.0f} ms, which their "
            "latencies include; nothing failed by it."
        )
    lag = _lag_of_timeout(run)
    if _own_timeouts(run) and lag is not None and lag >= SOMEWHAT_LATE:
        return f"Our own workers were late by {lag:.0%} of the timeout, but took every answer before they looked at it."
    if _own_timeouts(run):
        return "The load generator was on time."
    if busy is not None and busy > BUSY:
        return "Bound by CPU, but the load generator kept up."
    return "The load generator kept up."


def judge_program(run: RunResult) -> Judgement:
    """Possible where a program that waited for a core says that it ran out of time, and no connect of it failed.

    The kernel connects, and is answered, whether or not the program has a core: what failed by then is not of that.
    """
    busiest = program_cpu.busiest_of(run)
    if busiest is None:
        text = "How long the program waited for a core was not observed."
        return Judgement("not_observed", text, [unknown("/proc/PID/task/TID/schedstat", "waited_s", "not read")])
    evidence, waited = [program_cpu.evidence(run, busiest)], program_cpu.kept_waiting(run)
    if waited is None:
        return Judgement("ruled_out", "The program had a core whenever it wanted one, or soon.", evidence)
    if run.client_failures:
        text = f"{sentence(waited)}, but a connect goes on in the kernel meanwhile: none failed by that."
        return Judgement("ruled_out", text, evidence)
    if not run.funnel.connected or not program_cpu.ran_out_of_time(run):
        text = f"{sentence(waited)}; whether its own time-outs came of that is in its own report alone."
        return Judgement("not_observed", text, evidence)
    text = f"{sentence(waited)}, and it ran out of time though no connect failed: it may have come too late itself."
    return Judgement("possible", text, evidence)


# What our workers show ---------------------------------------------------------------------------------------------


def _busy(run: RunResult) -> float | None:
    """The busiest client worker's share of one core."""
    known = [w.cpu_fraction for w in facts.workers(run, "client") if w.cpu_fraction is not None]
    return max((f for f in known if math.isfinite(f)), default=None)


def _kept_off(run: RunResult) -> str | None:
    """That the schedule needs more CPU than others left to our workers, in words. None: not so, or it is not known."""
    loop, seen_s = run.open_loop, run.elapsed_s
    workers = [w for w in facts.workers(run, "client") if w.cpu_s is not None and w.waited_s is not None]
    if loop is None or not workers or not (math.isfinite(seen_s) and seen_s > 0):
        return None
    ran_s = sum(worker.cpu_s or 0.0 for worker in workers)
    waited_s = sum(worker.waited_s or 0.0 for worker in workers)
    begun = loop.scheduled - loop.unsent
    if begun <= 0 or waited_s <= ran_s:
        return None
    needed = loop.rate_per_s * ran_s / begun
    if needed <= len(workers) - waited_s / seen_s:
        return None
    return (
        f"{loop.rate_per_s:,.0f}/s need {needed:.1f} cores at {ran_s / begun * 1e6:,.0f} µs each; they ran "
        f"{ran_s:.1f} s and waited {waited_s:.1f} s for a core that others had"
    )


def _lag_ms(run: RunResult) -> float | None:
    known = [w.worst_lag_ms for w in facts.workers(run, "client") if w.worst_lag_ms is not None]
    return max((lag for lag in known if math.isfinite(lag)), default=None)


def _could_end(run: RunResult) -> float:
    """How many connections our lateness can have ended at most, each time that a worker was so late.

    That is all that were under way, less what each worker takes first. How often is bounded by the time that the
    workers ran or waited for a core. Infinite where that is not known.
    """
    workers, timeout = facts.workers(run, "client"), facts.asked_timeout(run)
    kept_s = sum(w.cpu_s + w.waited_s for w in workers if w.cpu_s is not None and w.waited_s is not None)
    at_once = facts.asked(run, "in_flight", "connections")
    if at_once is not None and at_once <= TAKEN_FIRST * len(workers):
        return 0
    if not timeout or at_once is None or any(w.cpu_s is None or w.waited_s is None for w in workers):
        return math.inf
    return (at_once - TAKEN_FIRST * len(workers)) * math.ceil(kept_s / (LATE * timeout))


def _lag_of_timeout(run: RunResult) -> float | None:
    """The worst lag as a share of the timeout. None: no timeout, or no lag known."""
    lag, timeout = _lag_ms(run), facts.asked_timeout(run)
    if lag is None or timeout is None:
        return None
    return lag / (timeout * 1000)


def _rate_missed(run: RunResult) -> bool | None:
    """Was the asked rate missed? None: none was asked, it cannot be told, or the run was too short to tell."""
    rate, reached, loop = facts.asked_rate(run), attempts_per_s(run), run.open_loop
    if rate is None or reached is None:
        return None
    if loop is not None:
        # Next to all that was due has begun, each so late at worst, and before the end: samples come late themselves.
        begun_within_s = min(run.elapsed_s, run.load_s + loop.worst_late_ms / 1000)
        return begun_within_s * MISSED > run.load_s
    # Samples come ten a second: less than a quarter of a second behind is no evidence.
    behind_s = run.funnel.attempted / reached - run.funnel.attempted / rate
    return reached < MISSED * rate and behind_s > 0.25


def _missed(run: RunResult) -> str | None:
    """In a sentence, what was asked for and not done. None: nothing."""
    loop = run.open_loop
    if loop is not None and loop.unsent > UNSENT * loop.scheduled:
        return f"{loop.unsent:,} of the {loop.scheduled:,} that were due had not begun by the end."
    return "The rate was not reached." if _rate_missed(run) else None


def _why_ours(run: RunResult, busy: float | None) -> str | None:
    """In a sentence, what of our own kept the rate from being met. None: nothing that was seen."""
    loop = run.open_loop
    if busy is not None and busy > BUSY:
        return "Our own workers had no CPU left."
    if (told := _kept_off(run)) is not None:
        return f"Our own workers had no CPU left: {told}."
    if loop is not None and loop.late > BEHIND * loop.scheduled and _as_late_as_missed(loop):
        return f"{loop.late:,} began late though nothing else kept them: our own workers were late."
    return None


def _as_late_as_missed(loop: OpenLoop) -> bool:
    """Whether we were ever about as late as what had not begun is behind the schedule.

    Else connects that nobody answered had taken its places, and that is no lateness of ours.
    """
    behind_s = loop.unsent / loop.rate_per_s if loop.rate_per_s > 0 else 0.0
    return loop.worst_late_ms / 1000 >= LATE * behind_s


# Evidence ----------------------------------------------------------------------------------------------------------


def _cpu_evidence(busy: float | None) -> list[Evidence]:
    if busy is None:
        return [unknown("workers", "cpu_fraction", "how busy our workers were was not observed")]
    text = f"the busiest client worker used {busy:.0%} of a core"
    if busy > BUSY:
        text += ": throughput is bound by CPU"
    return [measured("workers", "cpu_fraction", busy, text, BUSY)]


def _waited_evidence(run: RunResult) -> list[Evidence]:
    known = [worker.waited_s for worker in facts.workers(run, "client") if worker.waited_s]
    if not known:
        return []
    text = f"a client worker waited {max(known):.1f} s of {run.elapsed_s:.1f} s at most for a core that others had"
    return [measured("workers", "waited_s", max(known), text, None)]


def _lag_evidence(run: RunResult) -> list[Evidence]:
    lag, timeout = _lag_ms(run), facts.asked_timeout(run)
    own = failures(run)
    text = f"{plural(own, 'connection was', 'connections were')} ended by our own timeout"
    evidence = [measured("failures", "own_timeout", own, text)]
    if lag is None:
        return evidence
    beside = "" if timeout is None else f", the timeout is {timeout * 1000:,.0f} ms"
    text = f"our workers came at worst {lag:,.0f} ms late to their loop{beside}"
    threshold = None if timeout is None else timeout * 1000 * LATE
    evidence.append(measured("workers", "worst_lag_ms", lag, text, threshold))
    return evidence


def _rate_evidence(run: RunResult) -> list[Evidence]:
    rate, reached = facts.asked_rate(run), attempts_per_s(run)
    if rate is None or reached is None:
        return []
    text = f"{plural(reached, 'connect a second was', 'connects a second were')} begun, {rate:,.0f} were asked for"
    return [measured("timeline", "attempted", reached, text, rate)]


def _schedule_evidence(run: RunResult) -> list[Evidence]:
    loop = run.open_loop
    if loop is None:
        return []
    text = (
        f"{loop.late:,} of {loop.scheduled:,} began over 1 ms later than they could, at worst {loop.worst_late_ms:,} ms"
    )
    return [measured("open_loop", "late", loop.late, text, round(BEHIND * loop.scheduled))]


def remedies(run: RunResult) -> list[Remedy]:
    """More CPU for the load or less of it, and what does not touch it."""
    remedies = [
        Remedy(
            command="run the client on a machine of its own, or on more cores (taskset -c)",
            works=True,
            changes=[changes.elsewhere("another machine")],
            why="Client and server that share cores slow each other; what you measure then is the machine.",
        ),
        Remedy(
            command="ask for less: fewer connections, a lower rate",
            works=True,
            changes=[changes.fewer()],
            why="Up to what it can give.",
        ),
    ]
    if failures(run):
        why = "A timeout well over the lag no longer ends sound connections."
        remedies.append(Remedy(command="--timeout 3", works=True, changes=[changes.timeout(3)], why=why))
    remedies.append(
        Remedy(
            command="any sysctl, a bigger backlog at the server",
            works=False,
            changes=[changes.queue()],
            why="The target was not what was slow.",
        )
    )
    return remedies


CAUSE = Cause(
    id="generator_saturated",
    side="client",
    stage=ConnectionStage.MEASUREMENT,
    over_unix=True,
    judge_run=judge_run,
    judge_snapshots=NeedsRun("There was no load of ours"),
    judge_program=judge_program,
    failures=failures,
    remedies=remedies,
    twin=NotRebuilt("the CPU of the machine that ran the load is not this one's"),
)
