"""The listener's accept queue was full and the kernel turned connections away.

Source: `sk_acceptq_is_full` (include/net/sock.h): full is `sk_ack_backlog > sk_max_ack_backlog`, so B+1 fit.
`tcp_conn_request` (net/ipv4/tcp_input.c) drops a SYN on a full queue; `tcp_v4_syn_recv_sock` (net/ipv4/tcp_ipv4.c)
and its v6 twin drop the final ACK. Each adds to ListenOverflows, ListenDrops and to the listener's own sk_drops.
sk_drops also counts SYN-queue and TCP_DEFER_ACCEPT drops: alone it proves nothing. All are counted in packets.
"""

from __future__ import annotations

from dataclasses import replace

from estab.diagnose import facts, sent
from estab.diagnose.advice.backlog import backlog_remedies
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import during, listener_unseen, measured, sent_again, unknown, worst_depth
from estab.diagnose.on_snapshots import LISTENERS_UNSEEN, Snapshots
from estab.diagnose.overflow import ghosts_of_queue, turned_away
from estab.diagnose.overload import comes_faster
from estab.diagnose.rates import queue_rates
from estab.kernel.formats.endpoint import endpoint
from estab.records import Evidence, ListenerWatch, RunResult
from estab.words import places, plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed only where this listener's own queue turned packets away within the run."""
    watch = facts.listener(run)
    if watch is None:
        return _unseen(run)
    overflowed = turned_away(run, watch)
    if overflowed:
        return Judgement("confirmed", _summary(run, watch), _evidence(run, watch))
    if overflowed is False:
        return Judgement("ruled_out", _why_not(run, watch), _evidence(run, watch))
    if facts.overflow_symptoms(run):
        text = "The accept queue may have overflowed: connections suffered, and whose the drops are could not be told."
        return Judgement("possible", text, _evidence(run, watch))
    text = "Whether this listener turned anything away could not be read; no connection shows it."
    return Judgement("not_observed", text, _evidence(run, watch))


def failures(run: RunResult) -> int:
    """Connections that timed out, and those that were reset for a place that the queue did not have."""
    return facts.turned_away_clients(run)


def _unseen(run: RunResult) -> Judgement:
    why = facts.why_unseen(run)
    evidence = [listener_unseen(run)]
    if (elsewhere := sent.turned_back(run)) is not None:
        return Judgement("ruled_out", elsewhere, evidence)
    if facts.each_was_accepted(run):
        return Judgement("ruled_out", "Every connection was answered, so each was accepted.", evidence)
    if facts.overflow_symptoms(run):
        evidence += _client_evidence(run)
        text = f"A full accept queue would look like this from the client, but the listener was not observed ({why})."
        return Judgement("possible", text, evidence)
    return Judgement("not_observed", f"The listener's queue was not observed ({why}).", evidence)


def _summary(run: RunResult, watch: ListenerWatch) -> str:
    lost, late, ghosts = failures(run), run.retransmitted, ghosts_of_queue(run)
    costs = [f"{plural(lost, 'connection')} failed"] if lost else []
    costs += [sent_again(late)] if late and not lost else []
    costs += [f"{plural(ghosts, 'connection exists', 'connections exist')} only at the client"] if ghosts else []
    cost = " and ".join(costs) or (
        _cost_to_others(run) if run.program is not None or not run.funnel.attempted else "nothing failed by it"
    )
    return (
        f"The accept queue of {endpoint(watch.address, watch.port)} "
        f"was full ({plural(facts.room(watch), 'fits', 'fit')}) "
        f"and the kernel turned packets away: {cost}.{_both_rates(run)}"
    )


def _cost_to_others(run: RunResult) -> str:
    """What a look at a host knows of the clients that were turned away: of those of this host that they send again."""
    again = run.server.rose(facts.SYN_RETRANS)
    if not again:
        return "what became of their connects is seen at the clients alone"
    return f"this host's own connects sent {plural(again, 'SYN')} again, and other clients are not seen from here"


def _both_rates(run: RunResult) -> str:
    """Both rates, as a further sentence, where more came than was accepted."""
    rates = queue_rates(run)
    if rates is None or not comes_faster(run):
        return ""
    return f" {rates.arrivals_per_s:,.0f}/s came, {rates.accepts_per_s:,.0f}/s were accepted."


def _why_not(run: RunResult, watch: ListenerWatch) -> str:
    if facts.was_full(watch):
        return f"The queue filled to its last place ({watch.worst_depth:,}), and nothing was turned away."
    if facts.listener_drops(run):
        return "The listener dropped packets, but none of them for a full accept queue."
    if run.server.rose(facts.LISTEN_OVERFLOWS):
        return "Another listener overflowed: this one dropped nothing."
    return f"{places(watch.worst_depth, facts.room(watch))} used, none turned away."


# Evidence ----------------------------------------------------------------------------------------------------------


def _evidence(run: RunResult, watch: ListenerWatch) -> list[Evidence]:
    evidence = [_depth(watch), *_full_samples(run, watch), _overflows(run), *_drops(run), *_cookies(run), *_ghosts(run)]
    return evidence + _client_evidence(run)


def _depth(watch: ListenerWatch) -> Evidence:
    more = ""
    if watch.worst_depth > facts.room(watch):
        # `tcp_v4_syn_recv_sock` tests for room, `inet_csk_reqsk_queue_add` adds: two steps, on an unlocked listener.
        more = "; handshakes that end on several CPUs at once can go over that"
    return worst_depth(watch, more)


def _full_samples(run: RunResult, watch: ListenerWatch) -> list[Evidence]:
    if not watch.full_samples or run.command == "observe":  # of two looks the depth at each is said
        return []
    text = f"full in {watch.full_samples:,} of {plural(watch.samples, 'sample')}, ten a second"
    return [measured("sock_diag", "full_samples", watch.full_samples, text)]


def _overflows(run: RunResult) -> Evidence:
    delta = run.server.rose(facts.LISTEN_OVERFLOWS)
    if delta is None:
        text = "ListenOverflows was not observed"
    else:
        text = f"ListenOverflows rose by {delta:,} {during(run)} (packets, not clients; whole network namespace)"
    return measured("/proc/net/netstat", facts.LISTEN_OVERFLOWS, delta, text)


def _drops(run: RunResult) -> list[Evidence]:
    drops, deferred = facts.listener_drops(run), run.server.rose(facts.DEFER_DROPS)
    if drops is None:
        return [unknown("sock_diag", "drops", "the listener's own drops were not observed")]
    text = f"the listener's own drops rose by {drops:,} {during(run)}"
    evidence = [measured("sock_diag", "drops", drops, text)]
    if drops and deferred:
        text = f"TCPDeferAcceptDrop rose by {deferred:,}: so many of those drops may be TCP_DEFER_ACCEPT's"
        evidence.append(measured("/proc/net/netstat", facts.DEFER_DROPS, deferred, text))
    return evidence


def _cookies(run: RunResult) -> list[Evidence]:
    """With SYN cookies the second data segment of a connection that was never queued is answered by RST."""
    spoiled = run.server.rose(facts.COOKIES_FAILED)
    if not spoiled or not facts.resets(run):
        return []
    text = f"SyncookiesFailed rose by {spoiled:,}: connections that only the client held were reset at their data"
    return [measured("/proc/net/netstat", facts.COOKIES_FAILED, spoiled, text)]


def _ghosts(run: RunResult) -> list[Evidence]:
    ghosts = ghosts_of_queue(run)
    if not ghosts:
        return []
    text = f"the client holds {plural(ghosts, 'ESTABLISHED connection')} that the server does not have (ghosts)"
    return [measured("sock_diag", "ghosts", ghosts, text)]


def _client_evidence(run: RunResult) -> list[Evidence]:
    late, timeouts, resets = run.retransmitted, facts.timeouts(run), facts.resets(run)
    evidence = []
    if late:
        text = sent_again(late)
        evidence.append(measured("tcp_info", "syn_retransmits", late, text))
    if timeouts:
        text = f"{plural(timeouts, 'connection')} timed out"
        evidence.append(measured("failures", "ETIMEDOUT, own_timeout", timeouts, text))
    if resets:
        text = f"{plural(resets, 'connection was', 'connections were')} reset"
        evidence.append(measured("failures", "ECONNRESET, EPIPE", resets, text))
    return evidence


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Full now, or turned packets away between the two."""
    if snapshots.after.listeners is None:
        return Judgement("not_observed", LISTENERS_UNSEEN, [unknown("sock_diag", "-", "listeners were not read")])
    if snapshots.fullest is None:
        return Judgement("ruled_out", "Nothing listens here.", [measured("sock_diag", "listeners", 0, "none", None)])
    queue, run = snapshots.fullest, snapshots.run(snapshots.fullest)
    if queue.full:
        text = f"The accept queue of {queue.where} is full now: {queue.wait_and_fit}.{_both_rates(run)}"
        return Judgement("confirmed", text, [queue.evidence], about=run)
    if snapshots.before is None:
        text = f"No queue is full now (fullest: {places(queue.now.depth, queue.room)}); before is not known."
        return Judgement("not_observed", text, [queue.evidence])
    return replace(judge_run(run), about=run)


CAUSE = Cause(
    id="accept_queue_overflow",
    side="server",
    stage=ConnectionStage.ACCEPT_QUEUE,
    kind=CauseKind.ACCEPT_QUEUE,
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=backlog_remedies,
    twin=Rebuilt("the queue's bounds, and accepts at the record's rate or with its pauses"),
)
