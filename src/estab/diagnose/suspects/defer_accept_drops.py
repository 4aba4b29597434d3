"""TCP_DEFER_ACCEPT: the server takes a connection only once data comes, and drops the bare ACK of a silent client.

Source: `tcp_check_req` (net/ipv4/tcp_minisocks.c): with TCP_DEFER_ACCEPT set on the listener the final ACK without data
is dropped and counted as TCPDeferAcceptDrop, for as many SYN-ACK retransmissions as the seconds make (docs/kernel.md
rule 8). The client is ESTABLISHED and the server stays in SYN_RECV. The drops add to the listener's sk_drops too, so
that `ss -m` looks like an overflow where there is none (rule 5). Clients that speak first never notice.
"""

from __future__ import annotations

from estab.diagnose import facts
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import NETSTAT, counter, listener_unseen, measured, server_counter, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.overflow import ghosts_of_queue, overflowed
from estab.records import Evidence, Remedy, RunResult, Verdict
from estab.records.failure import OF_CONNECTED
from estab.words import plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where clients that say nothing waited in vain, and the bare ACK of each was dropped for it."""
    return Judgement(*_weigh(run), _evidence(run))


def failures(run: RunResult) -> int:
    """Connections that were not answered in time or broken after the connect."""
    return facts.failed(run, OF_CONNECTED, facts.TIMEOUTS | facts.RESETS | {"eof"})


def _weigh(run: RunResult) -> tuple[Verdict, str]:
    dropped = run.server.rose(facts.DEFER_DROPS)
    if facts.listener(run) is None or dropped is None:
        unseen = facts.why_unseen(run) if facts.listener(run) is None else "no counters"
        return "not_observed", f"TCPDeferAcceptDrop of the listener was not observed ({unseen})."
    if dropped <= 0:
        return "ruled_out", "No ACK was dropped for TCP_DEFER_ACCEPT."
    if facts.listener_drops(run) == 0:
        return "ruled_out", "Another listener defers: this one dropped nothing."
    return _cost(run, dropped)


def _cost(run: RunResult, dropped: int) -> tuple[Verdict, str]:
    held, lost = ghosts_of_queue(run), failures(run)
    acks = plural(dropped, "bare ACK was", "bare ACKs were")
    if not held and not lost:
        return "ruled_out", f"{acks} dropped by design; every client that spoke was served."
    if not lost:
        unknown_to = f"its program does not know of {plural(held, 'connection')} that said nothing yet"
        return "possible", f"The listener defers accept() until data comes: {unknown_to}. Nothing failed by it."
    if lost <= dropped and _says_nothing(run) and overflowed(run) is not True:
        waits = f"its clients wait for the server: {plural(lost, 'connection')} got nothing in time"
        return "confirmed", f"The listener defers accept() until data comes, and {waits}."
    return "possible", f"{acks} dropped for TCP_DEFER_ACCEPT, and {plural(lost, 'connection')} broke."


def _says_nothing(run: RunResult) -> bool:
    """Whether clients wait for the server to speak or to close: only data of theirs ends the deferring."""
    return run.command == "churn" and facts.asked(run, "size_bytes") == 0


def _evidence(run: RunResult) -> list[Evidence]:
    if facts.listener(run) is None:
        return [listener_unseen(run)]
    means = "ACKs without data that TCP_DEFER_ACCEPT dropped"
    evidence = [server_counter(run, facts.DEFER_DROPS, means)]
    own, over = facts.listener_drops(run), run.server.rose(facts.LISTEN_OVERFLOWS)
    if own is not None:
        beside = "" if over is None else f", while ListenOverflows rose by {over:,}"
        text = f"the listener's own drops rose by {own:,}{beside}"
        evidence.append(measured("sock_diag", "drops", own, text))
    held = ghosts_of_queue(run)
    text = f"the client holds {plural(held, 'connection')} that the server does not have"
    return [*evidence, measured("sock_diag", "ghosts", held, text)]


def remedies(run: RunResult) -> list[Remedy]:
    """Speak first, or do not defer."""
    port = facts.target_port(run) or "PORT"
    return [
        Remedy(
            command=f"listen {port};   # nginx: no deferred; Apache: AcceptFilter http none",
            works=True,
            changes=[changes.NO_DEFER],
            why="Clients that wait for the server to speak first (SMTP, SSH, MySQL, warm pools) need it so.",
        ),
        Remedy(
            command="let the client send its first bytes at once",
            works=True,
            changes=[changes.SPEAK_FIRST],
            why="Data brings the ACK that is accepted: the connection is handed to accept() with it.",
        ),
        Remedy(
            command="nstat -az TcpExtTCPDeferAcceptDrop; ss -ltnm   # at the server",
            works=True,
            changes=[changes.LOOK],
            why="Rising together with the listener's d while ListenOverflows stands: it is this, not an overflow.",
        ),
        bigger_backlog("The queue was not full: the ACK was dropped on purpose."),
        Remedy(
            command="sysctl -w net.ipv4.tcp_abort_on_overflow=1",
            works=False,
            changes=[changes.sysctl("net.ipv4.tcp_abort_on_overflow", 1)],
            why="It asks about a full queue alone; a deferred ACK is dropped as before.",
        ),
    ]


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """ACKs dropped for TCP_DEFER_ACCEPT. Whether a client suffers by it only a run can tell."""
    if (why := snapshots.why_no_deltas) is not None:
        return Judgement("not_observed", why, [unknown(NETSTAT, "-", why)])
    dropped = snapshots.rose(facts.DEFER_DROPS)
    evidence = [counter(facts.DEFER_DROPS, dropped, "ACKs without data that were dropped by design")]
    if dropped is None:
        return Judgement("not_observed", "TCPDeferAcceptDrop was not observed.", evidence)
    if not dropped:
        return Judgement("ruled_out", "No ACK was dropped for TCP_DEFER_ACCEPT.", evidence)
    text = (
        f"{plural(dropped, 'bare ACK was', 'bare ACKs were')} dropped for "
        "TCP_DEFER_ACCEPT; whether clients wait for it only a run shows."
    )
    return Judgement("possible", text, evidence)


CAUSE = Cause(
    id="defer_accept_drops",
    side="server",
    stage=ConnectionStage.HANDSHAKE,
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a listener with TCP_DEFER_ACCEPT"),
)
