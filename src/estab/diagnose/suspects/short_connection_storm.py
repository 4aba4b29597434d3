"""Short connections come in bursts over a small backlog, and their timeout ends before the first SYN is sent again.

Source: a SYN on a full accept queue is dropped (`tcp_conn_request`, net/ipv4/tcp_input.c) and sent again after 1 s
(TCP_TIMEOUT_INIT, include/net/tcp.h). A connect timeout of 1 s or less never sees that: what would have been one slow
connect becomes a failure, and the next attempt adds to the burst (docs/kernel.md rules 3 and 18).
"""

from __future__ import annotations

from estab.diagnose import facts
from estab.diagnose.advice import changes
from estab.diagnose.advice.backlog import backlog_remedies, burst
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, NeedsRun, Rebuilt
from estab.diagnose.evidence import measured
from estab.diagnose.overflow import overflow_evidence, overflowed
from estab.diagnose.overload import outrun
from estab.diagnose.rates import queue_rates
from estab.kernel.rules.syn_retries import INITIAL_RTO_S, sees_retransmission
from estab.records import Evidence, Remedy, RunResult, Verdict
from estab.words import plural

# A server of whose clients less than half get through is short of accepts, whatever its queue holds.
_KEEPS_UP = 2.0


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where short connections overflowed the queue and our own timeout, 1 s or less, ended them."""
    return Judgement(*_weigh(run), _evidence(run))


def failures(run: RunResult) -> int:
    """As for any overflow of the queue."""
    return facts.turned_away_clients(run)


def _lost(run: RunResult) -> int:
    return facts.failed(run, ("connect",), ("own_timeout",))


def _weigh(run: RunResult) -> tuple[Verdict, str]:
    if (innocent := _why_not(run)) is not None:
        return "ruled_out", innocent
    timeout, lost, over = facts.asked_timeout(run), _lost(run), overflowed(run)
    told = f"{plural(lost, 'short connection')} gave up" + ("" if timeout is None else f" after {timeout:g} s")
    if over is None:
        return "possible", f"{told}; whether the accept queue overflowed was not observed ({facts.why_unseen(run)})."
    if timeout is None or facts.mostly_reset(run):
        return "possible", f"{told}, but that is not what cost most."
    return "confirmed", f"{told}, before their SYN could be sent again: the accept queue overflowed in bursts."


def _why_not(run: RunResult) -> str | None:
    if run.command != "churn":
        return "Connections were kept, not opened and closed in a loop."
    if not _lost(run):
        return "No connect was ended by our own timeout."
    timeout = facts.asked_timeout(run)
    if timeout is not None and sees_retransmission(timeout):
        return f"The timeout of {timeout:g} s lets the SYN be sent again."
    if overflowed(run) is False:
        return "The accept queue did not overflow."
    return _why_no_burst(run)


def _why_no_burst(run: RunResult) -> str | None:
    """A burst is more clients at once than fit, on a server that accepts all that come but for a while."""
    watch, together = facts.listener(run), burst(run)
    if watch is not None and together is not None and together <= facts.room(watch):
        came = f"{together:,} came at once, and {facts.room(watch):,} fit" if together else "connects came one by one"
        return f"Clients came in no bursts: {came}."
    rates = queue_rates(run)
    if rates is not None and (outrun(run) is not None or rates.arrivals_per_s > _KEEPS_UP * rates.accepts_per_s):
        told = f"{rates.arrivals_per_s:,.0f}/s came and {rates.accepts_per_s:,.0f}/s were accepted all the time"
        return f"The queue did not overflow in bursts: {told}."
    return None


def _evidence(run: RunResult) -> list[Evidence]:
    timeout, lost = facts.asked_timeout(run), _lost(run)
    text = f"{lost:,} of {plural(run.funnel.attempted, 'connect was', 'connects were')} ended by our own timeout"
    evidence = [measured("failures", "connect own_timeout", lost, text)]
    if run.command != "churn" or not lost:
        return evidence
    stands = "none was set" if timeout is None else f"is {timeout:g} s"
    text = f"the timeout {stands}; a dropped SYN is sent again after {INITIAL_RTO_S:g} s"
    evidence.append(measured("config", "timeout_s", timeout, text, INITIAL_RTO_S))
    if run.load_s > 0:
        rate = run.funnel.attempted / run.load_s
        evidence.append(
            measured(
                "funnel",
                "attempted / s",
                rate,
                f"{plural(rate, 'connect a second was', 'connects a second were')} begun",
                None,
            )
        )
    return [*evidence, *overflow_evidence(run)]


def remedies(run: RunResult) -> list[Remedy]:
    """Patience, a pool, a longer queue; and what does nothing."""
    advice = [r for r in backlog_remedies(run) if r.command != "--timeout 3"]
    return [
        Remedy(
            command="keep connections open and reuse them: a connection pool (estab bench -c 50 shows it)",
            works=True,
            changes=[changes.POOL],
            why="It removes the problem: no SYN, no queue, and no TIME_WAIT either.",
        ),
        Remedy(
            command="--timeout 3   # in the client: a connect timeout of 3 s",
            works=True,
            changes=[changes.timeout(3)],
            why="A dropped SYN is sent again after 1 s and finds room: one slow connect instead of a failure.",
        ),
        *advice,
        Remedy(
            command="retry at once after a timeout",
            works=False,
            changes=[changes.program("a client that connects anew at once")],
            why="Each retry is one more SYN in the same burst; the first one would have come again by itself.",
        ),
    ]


CAUSE = Cause(
    id="short_connection_storm",
    side="server",
    stage=ConnectionStage.ACCEPT_QUEUE,
    kind=CauseKind.ACCEPT_QUEUE,
    specificity=2,
    explains={
        CauseKind.ACCEPT_QUEUE: "the queue overflowed in bursts of short connections, "
        "whose timeout let none wait for its second SYN"
    },
    judge_run=judge_run,
    judge_snapshots=NeedsRun("How long clients wait and how often they come is not known here"),
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("the queue's bounds, the timeout, and the record's pauses of accept()"),
)
