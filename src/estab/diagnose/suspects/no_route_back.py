"""The SYN arrives, but the server has no route to whom it came from: it is dropped without an answer.

Source: `tcp_conn_request` (net/ipv4/tcp_input.c) asks for the route of the SYN-ACK; without one the SYN is dropped and
counted in ListenDrops and the listener's own drops, and `inet_csk_route_req` (net/ipv4/inet_connection_sock.c) counts
Ip.OutNoRoutes. No queue was asked: its depth and ListenOverflows do not move.
"""

from __future__ import annotations

from estab.diagnose import facts, sent
from estab.diagnose.advice import changes
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import SNMP, connect_timeouts, listener_unseen, measured, server_counter, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.records import Evidence, Remedy, RunResult, Verdict
from estab.words import plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where the server's host lacked a route as often as its listener dropped a SYN."""
    if not failures(run):
        return Judgement("ruled_out", "No connect timed out.", [connect_timeouts(run)])
    if not run.server.observed:
        text = f"Whether the server has a route back was not observed ({facts.why_unseen(run)})."
        return Judgement("not_observed", text, [listener_unseen(run)])
    return Judgement(*_weigh(run), _evidence(run))


def failures(run: RunResult) -> int:
    """Connects that timed out."""
    return facts.connect_timeouts(run)


def without_route(run: RunResult) -> int | None:
    """SYNs that the server dropped for lack of a route, at most. None: not observed."""
    routes, drops = sent.without_route(run.server), run.server.rose(facts.LISTEN_DROPS)
    return None if routes is None or drops is None else min(routes, max(0, drops))


def _weigh(run: RunResult) -> tuple[Verdict, str]:
    unanswered = without_route(run)
    if unanswered is None:
        return "not_observed", "Whether the server has a route back was not observed."
    if not unanswered:
        return "ruled_out", "The server had a route for every answer."
    drops = run.server.rose(facts.LISTEN_DROPS) or 0
    told = f"the server had no route for {unanswered:,} of its answers"
    # Each dropped SYN counts in both: where most drops have no such twin, something else dropped them.
    if unanswered * 2 <= drops:
        return "possible", f"Its listener dropped {plural(drops, 'packet')}, and {told}."
    lost = failures(run)
    return "confirmed", f"The SYNs arrived, and {told}: {plural(lost, 'connect')} timed out."


def _evidence(run: RunResult) -> list[Evidence]:
    routes = sent.without_route(run.server)
    text = "was not observed at the server" if routes is None else f"rose by {routes:,} at the server"
    return [
        measured(SNMP, "Ip.OutNoRoutes", routes, f"OutNoRoutes {text}"),
        server_counter(run, facts.LISTEN_DROPS, "SYNs and ACKs dropped for whatever reason"),
        server_counter(run, facts.LISTEN_OVERFLOWS, "packets that a full accept queue turned away"),
    ]


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """SYNs that were dropped for lack of a route in between."""
    run = snapshots.run(None)
    unanswered = without_route(run)
    if unanswered is None:
        text = snapshots.why_no_deltas or "OutNoRoutes was not observed at both moments."
        return Judgement("not_observed", text, [unknown(SNMP, "Ip.OutNoRoutes", text)])
    if not unanswered:
        return Judgement("ruled_out", "This host had a route for every SYN that it answered.", _evidence(run))
    if unanswered * 2 <= (run.server.rose(facts.LISTEN_DROPS) or 0):
        return Judgement("possible", f"This host lacked a route for up to {plural(unanswered, 'SYN')}.", _evidence(run))
    text = (
        f"{plural(unanswered, 'SYN was', 'SYNs were')} dropped "
        "because this host has no route back to whom they came from."
    )
    return Judgement("confirmed", text, _evidence(run))


def remedies(run: RunResult) -> list[Remedy]:
    """The route, and what does not make one."""
    return [
        Remedy(
            command="ip route get CLIENT_ADDRESS   # at the server: it says unreachable",
            works=True,
            changes=[changes.LOOK],
            why="The client's address as the server sees it: tcpdump at the server shows it.",
        ),
        Remedy(
            command="ip route add CLIENT_NETWORK via GATEWAY   # at the server",
            works=True,
            changes=[changes.mend("the server's routes")],
            why="Counts at once: the next SYN is answered.",
        ),
        Remedy(
            command="a bigger backlog, tcp_max_syn_backlog, tcp_syncookies",
            works=False,
            changes=[changes.queue()],
            why="No queue was full: the SYN was dropped because its answer could not be sent.",
        ),
        Remedy(
            command="nft accept rules at the server",
            works=False,
            changes=[changes.ALLOW],
            why="The SYN had passed every rule: the listener saw it.",
        ),
    ]


CAUSE = Cause(
    id="no_route_back",
    side="server",
    stage=ConnectionStage.PATH,
    kind=CauseKind.LOST_SYN,
    specificity=4,
    explains={
        CauseKind.LOST_SYN: "the SYNs arrived, and their answers had no route",
        "syn_queue_overflow": "the SYNs were dropped for lack of a route, not of room",
    },
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a client's address that the server has no route to"),
)
