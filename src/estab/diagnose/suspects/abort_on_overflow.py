"""tcp_abort_on_overflow=1: the final ACK that finds the accept queue full is answered by RST.

Source: `tcp_check_req` (net/ipv4/tcp_minisocks.c): with the sysctl set, a half-open connection whose child finds no
room is reset and forgotten (EmbryonicRsts); without it the ACK is dropped and tried again. SYNs on a full queue are
dropped as ever, and so are cookies' ACKs (docs/kernel.md rule 7).
"""

from __future__ import annotations

from estab.diagnose import facts
from estab.diagnose.advice import changes
from estab.diagnose.advice.backlog import backlog_remedies
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import NETSTAT, counter, measured, server_counter, sysctl, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.overflow import overflow_evidence, overflowed
from estab.records import Evidence, Remedy, RunResult, Verdict
from estab.words import plural

SYSCTL = "net.ipv4.tcp_abort_on_overflow"


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where it is set, the queue overflowed, half-open connections were reset, and most clients felt it."""
    return Judgement(*_weigh(run), _evidence(run))


def failures(run: RunResult) -> int:
    """As for any overflow of the queue: the full queue behind it costs all of them."""
    return facts.turned_away_clients(run)


def _weigh(run: RunResult) -> tuple[Verdict, str]:
    if (innocent := _why_not(run)) is not None:
        return "ruled_out", innocent
    if facts.server_sysctl(run, SYSCTL) is None:
        return "not_observed", "tcp_abort_on_overflow was not observed."
    reset, over, aborted = facts.resets(run), overflowed(run), run.server.rose(facts.EMBRYONIC_RSTS)
    if over is None or aborted is None:
        return (
            "possible",
            "tcp_abort_on_overflow is set and connections were reset; the queue was not seen to overflow.",
        )
    if not facts.mostly_reset(run):
        text = (
            f"{plural(reset, 'connection was', 'connections were')} reset so, "
            f"but more connects ({facts.connect_timeouts(run):,}) timed out."
        )
        return "possible", text
    return "confirmed", f"tcp_abort_on_overflow reset {plural(reset, 'connection')} that found the accept queue full."


def _why_not(run: RunResult) -> str | None:
    order, aborted = facts.reset_orders(run), run.server.rose(facts.EMBRYONIC_RSTS)
    excluded = {
        "tcp_abort_on_overflow is 0.": facts.server_sysctl(run, SYSCTL) == 0,
        "No connection was reset.": not facts.resets(run),
        "The server closed first: EPIPE came without an ECONNRESET before it.": order is not None and order[0] <= 0,
        "The accept queue did not overflow.": overflowed(run) is False,
        "No half-open connection was reset.": aborted is not None and aborted <= 0,
    }
    return next((why for why, holds in excluded.items() if holds), None)


def _evidence(run: RunResult) -> list[Evidence]:
    reset = facts.resets(run)
    evidence = [
        sysctl(SYSCTL, facts.server_sysctl(run, SYSCTL)),
        measured(
            "failures", "ECONNRESET, EPIPE", reset, f"{plural(reset, 'connection was', 'connections were')} reset"
        ),
    ]
    if not reset:
        return evidence
    means = "half-open connections that were reset"
    return [*evidence, server_counter(run, facts.EMBRYONIC_RSTS, means), *overflow_evidence(run)]


def remedies(run: RunResult) -> list[Remedy]:
    """A queue that does not overflow; and the sysctl back, for clients that would rather wait."""
    advice = [r for r in backlog_remedies(run) if "tcp_abort_on_overflow" not in r.command]
    return [
        Remedy(
            command=f"sysctl -w {SYSCTL}=0   # at the server",
            works=True,
            changes=[changes.sysctl(SYSCTL, 0)],
            why="The ACK is then dropped and tried again: a short burst is served late, not reset. Counts at once.",
        ),
        *advice,
        Remedy(
            command="retry at once in the client",
            works=False,
            changes=[changes.program("a client that connects anew at once")],
            why="The queue is still full: the retry is reset too, and adds to the load.",
        ),
    ]


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """tcp_abort_on_overflow set, a queue that overflowed, and half-open connections that were reset."""
    value = snapshots.sysctl(SYSCTL)
    if value is None:
        return Judgement(
            "not_observed", "tcp_abort_on_overflow was not observed.", [unknown("/proc/sys", "-", "not read")]
        )
    is_set = measured("/proc/sys", SYSCTL, value, f"it is {value}", None)
    if not value:
        return Judgement("ruled_out", "tcp_abort_on_overflow is 0.", [is_set])
    if (why := snapshots.why_no_deltas) is not None:
        return Judgement("not_observed", why, [unknown(NETSTAT, "-", why)])
    reset, over = snapshots.rose(facts.EMBRYONIC_RSTS), snapshots.rose(facts.LISTEN_OVERFLOWS)
    evidence = [is_set, counter(facts.EMBRYONIC_RSTS, reset), counter(facts.LISTEN_OVERFLOWS, over)]
    if reset is None or over is None:
        return Judgement("not_observed", "Its counters were not observed.", evidence)
    if not reset or not over:
        return Judgement("ruled_out", "It is set, but reset nothing.", evidence)
    text = f"tcp_abort_on_overflow reset up to {plural(reset, 'connection')} that found the accept queue full."
    return Judgement("confirmed", text, evidence, about=snapshots.run(snapshots.fullest))


CAUSE = Cause(
    id="abort_on_overflow",
    side="server",
    stage=ConnectionStage.ACCEPT_QUEUE,
    kind=CauseKind.ACCEPT_QUEUE,
    specificity=3,
    explains={CauseKind.ACCEPT_QUEUE: "the queue overflowed, and tcp_abort_on_overflow made resets of it"},
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("the sysctl, the queue's bounds and the record's pauses of accept()"),
)
