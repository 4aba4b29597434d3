"""Clients behind one NAT share ports, and the server's TIME_WAIT of the last one refuses the next.

Source: `tcp_timewait_state_process` (net/ipv4/tcp_minisocks.c) takes a SYN for a connection that is in TIME_WAIT where
its timestamp or its sequence number is ahead of the last one. One host's always are; behind a NAT the next client has a
clock of its own, and where that is behind, the SYN is answered by an ACK of the old connection. It counts as
TcpExt.PAWSTimewait, in kernels that do not have that as TcpExt.PAWSEstab. TIME_WAIT lasts 60 s and is at the end that
closes first.
"""

from __future__ import annotations

from estab.diagnose import facts
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import connect_timeouts, listener_unseen, measured, sent_again, server_counter
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.syn_path import FEW
from estab.records import Evidence, Remedy, RunResult, ServerSide, Verdict
from estab.words import plural

REFUSED, REFUSED_BEFORE = "TcpExt.PAWSTimewait", "TcpExt.PAWSEstab"
_MEANS = "segments that came to a connection in TIME_WAIT with an older clock"


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where the server's TIME_WAIT refused as many segments as half of the SYNs that were not answered."""
    if not _unanswered(run):
        return Judgement("ruled_out", "Every SYN was answered.", [connect_timeouts(run)])
    if not run.server.observed:
        text = f"What the server's TIME_WAIT refused was not observed ({facts.why_unseen(run)})."
        return Judgement("not_observed", text, [listener_unseen(run)])
    return Judgement(*_weigh(run), _evidence(run))


def failures(run: RunResult) -> int:
    """Connects that timed out."""
    return facts.connect_timeouts(run)


def refused(server: ServerSide) -> int | None:
    """Segments that TIME_WAIT refused by their clock. None: not observed."""
    known = [delta for name in (REFUSED, REFUSED_BEFORE) if (delta := server.rose(name)) is not None]
    return max(0, known[0]) if known else None


def _unanswered(run: RunResult) -> int:
    """SYNs without an answer, at least: those of what timed out, and those after which another was sent."""
    return facts.connect_timeouts(run) + max(run.retransmitted, run.client.rose(facts.SYN_RETRANS) or 0)


def _weigh(run: RunResult) -> tuple[Verdict, str]:
    count = refused(run.server)
    if count is None:
        return "not_observed", "What the server's TIME_WAIT refused was not observed."
    if not count:
        return "ruled_out", "The server's TIME_WAIT refused nobody."
    lost, late = failures(run), facts.late_connects(run)
    came_of_it = f"{plural(lost, 'connect')} timed out" if lost else sent_again(late)
    told = f"the server's TIME_WAIT refused {plural(count, 'SYN')} on ports that another client had used"
    if count < FEW or count * 2 <= _unanswered(run):
        return "possible", f"{came_of_it}, and {told}: fewer than SYNs had no answer."
    return "confirmed", f"A NAT gives ports anew too soon: {told}; {came_of_it}."


def _evidence(run: RunResult) -> list[Evidence]:
    again = run.client.rose(facts.SYN_RETRANS)
    text = "was not observed at the client" if again is None else f"rose by {again:,} at the client"
    return [
        connect_timeouts(run),
        _counted(run),
        measured("/proc/net/netstat", facts.SYN_RETRANS, again, f"TCPSynRetrans {text}"),
    ]


def _counted(run: RunResult) -> Evidence:
    return server_counter(run, REFUSED if run.server.rose(REFUSED) is not None else REFUSED_BEFORE, _MEANS)


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Segments that TIME_WAIT refused in between; whether a client failed by it is not told."""
    between = snapshots.run(None)
    server = between.server
    count, evidence = refused(server), [_counted(between)]
    if count is None:
        text = snapshots.why_no_deltas or "PAWSTimewait was not observed at both moments."
        return Judgement("not_observed", text, evidence)
    if count < FEW or server.rose(REFUSED) is None:
        return Judgement("ruled_out", "This host's TIME_WAIT refused hardly anybody.", evidence)
    text = f"This host's TIME_WAIT refused {plural(count, 'segment')} with an older clock: clients behind a NAT."
    return Judgement("possible", text, evidence)


def remedies(run: RunResult) -> list[Remedy]:
    """Who should wait longer, or hold TIME_WAIT, and what does not shorten it."""
    return [
        Remedy(
            command="nstat -az TcpExtPAWSTimewait; ss -tan state time-wait | wc -l   # at the server",
            works=True,
            changes=[changes.LOOK],
            why="Refused SYNs, and how many connections with clients' ports are kept.",
        ),
        Remedy(
            command="more ports or addresses for the NAT; entries of closed connections kept for 60 s and more there",
            works=True,
            changes=[changes.NAT_PORTS],
            why="A port comes to the next client when the server has forgotten the last: its TIME_WAIT lasts 60 s.",
        ),
        Remedy(
            command="the client closes first (Connection: close sent by it, a shorter idle timeout than the server's)",
            works=True,
            changes=[changes.CLIENT_CLOSES],
            why="TIME_WAIT is then at the client, and the server keeps nothing that could refuse.",
        ),
        Remedy(
            command="keep connections open and reuse them: a connection pool",
            works=True,
            changes=[changes.POOL],
            why="Fewer connections, fewer ports that come round again within 60 s.",
        ),
        Remedy(
            command="sysctl -w net.ipv4.tcp_fin_timeout=10 net.ipv4.tcp_tw_reuse=1   # at the server",
            works=False,
            changes=[changes.sysctl("net.ipv4.tcp_fin_timeout", 10), changes.sysctl("net.ipv4.tcp_tw_reuse", 1)],
            why="TIME_WAIT lasts 60 s whatever they say; the second is for connections that this host makes itself.",
        ),
        bigger_backlog("No queue turned anything away."),
    ]


CAUSE = Cause(
    id="time_wait_refused_by_nat",
    side="path",
    stage=ConnectionStage.PATH,
    kind=CauseKind.LOST_SYN,
    specificity=4,
    explains={CauseKind.LOST_SYN: "the SYNs arrived, and the server's TIME_WAIT refused them"},
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("clients of two addresses behind a NAT with few ports"),
)
