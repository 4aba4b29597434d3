"""Asks every suspect, then names at most one cause.

A suspect judges itself alone and knows of no other. Where several confirm, two rules decide, in this order:
`EXPLAINS`, where one is the other's origin; then the cost, for two that met independently: the one that can answer for
more failures, and at equal cost the one that stands earlier in `SUSPECTS`, which follows a connection's way.
What loses is no longer confirmed: it becomes `possible` and says what explains it.
"""

from __future__ import annotations

from estab.diagnose.suspects import SUSPECTS
from estab.records import Diagnosis, RunResult, Suspect

# (origin, consequence): why the consequence is only that. Each suspect confirms only where its own condition is met
# (backlog_clamped only where a longer queue would have held, cookie_reset only where most of the damage is resets), so
# a pair needs no condition of its own.
_NO_DESCRIPTOR = "accept() takes the descriptor before the connection, so EMFILE leaves it queued until it overflows"
_NOBODY_EMPTIES = "a queue that nobody empties overflows whatever its length"
_STARVED = "the accepting thread got its turn too seldom to empty the queue"
_NO_LISTENER = "nothing listens, so there is no queue"
_TABLE_HERE = "the packets were lost in this host's own connection tracking table"
_COOKIES = "the queue overflowed, and SYN cookies made resets of it"
_ABORTED = "the queue overflowed, and tcp_abort_on_overflow made resets of it"
_STORM = "the queue overflowed in bursts of short connections, whose timeout let none wait for its second SYN"

EXPLAINS: dict[tuple[str, str], str] = {
    ("bound_ports_poisoned", "time_wait_port_exhaustion"): "bind() holds what the range lacks",
    ("bound_ports_poisoned", "ephemeral_port_exhaustion"): "bind() holds what the range lacks",
    ("time_wait_port_exhaustion", "ephemeral_port_exhaustion"): "the ports are held by TIME_WAIT",
    ("conntrack_full_local", "path_filtered"): _TABLE_HERE,
    ("conntrack_full_local", "path_flow_table_full"): _TABLE_HERE,
    ("conntrack_full_local", "path_syn_loss"): _TABLE_HERE,
    ("path_filtered", "nobody_listening"): "a listener is there, so what refused stands before it",
    ("path_flow_table_full", "path_syn_loss"): "what was lost found no room in a flow table",
    ("nobody_listening", "server_not_accepting"): "nothing listens, so nothing accepts",
    ("nobody_listening", "accept_queue_overflow"): _NO_LISTENER,
    ("server_open_files", "server_not_accepting"): "accept() fails for want of a descriptor, so the queue only rises",
    ("server_open_files", "accept_thread_starved"): "accept() fails over and over for want of a descriptor",
    **{
        (origin, overflow): why
        for origin, why in (
            ("server_open_files", _NO_DESCRIPTOR),
            ("server_not_accepting", _NOBODY_EMPTIES),
            ("accept_thread_starved", _STARVED),
        )
        for overflow in (
            "syn_queue_overflow",
            "cookie_reset",
            "abort_on_overflow",
            "short_connection_storm",
            "backlog_clamped",
            "accept_queue_overflow",
        )
    },
    ("server_not_accepting", "accept_thread_starved"): "it accepts nothing at all (any more)",
    ("server_not_accepting", "defer_accept_drops"): "it accepts nothing at all (any more)",
    ("cookie_reset", "abort_on_overflow"): "what was reset held a SYN cookie, which that sysctl does not touch",
    ("cookie_reset", "short_connection_storm"): _COOKIES,
    ("cookie_reset", "backlog_clamped"): _COOKIES,
    ("cookie_reset", "accept_queue_overflow"): _COOKIES,
    ("abort_on_overflow", "short_connection_storm"): _ABORTED,
    ("abort_on_overflow", "backlog_clamped"): _ABORTED,
    ("abort_on_overflow", "accept_queue_overflow"): _ABORTED,
    ("short_connection_storm", "backlog_clamped"): _STORM,
    ("short_connection_storm", "accept_queue_overflow"): _STORM,
    ("backlog_clamped", "accept_queue_overflow"): "somaxconn cut the queue that overflowed",
}

_COST = {module.CAUSE: module.failures for module in SUSPECTS}


def judge(run: RunResult) -> Diagnosis:
    """The verdict on a run: one cause or none, and every suspect with its evidence. Pure; never raises."""
    suspects = [module.judge(run) for module in SUSPECTS]
    winner = _winner(suspects, run)
    if winner is None:
        return Diagnosis(summary=_no_cause(run, suspects), suspects=suspects)
    suspects = [_demoted(s, winner, run) for s in suspects]
    return Diagnosis(cause=winner.cause, side=winner.side, summary=winner.summary, suspects=suspects)


def _winner(suspects: list[Suspect], run: RunResult) -> Suspect | None:
    confirmed = [s for s in suspects if s.verdict == "confirmed"]
    causes = {s.cause for s in confirmed}
    origins = [s for s in confirmed if not any((other, s.cause) in EXPLAINS for other in causes)]
    # max() keeps the first of equals: the order of SUSPECTS breaks ties.
    return max(origins, key=lambda s: _COST[s.cause](run), default=None)


def _demoted(suspect: Suspect, winner: Suspect, run: RunResult) -> Suspect:
    """The suspect as it stands beside the cause: no longer confirmed, nor left open where the cause explains it."""
    reason = EXPLAINS.get((winner.cause, suspect.cause))
    if suspect is winner:
        return suspect
    if reason is not None and suspect.verdict in ("confirmed", "possible"):
        return suspect.replace(verdict="possible", summary=f"Explained by {winner.cause}: {reason}.", remedies=[])
    if suspect.verdict != "confirmed":
        return suspect
    cost, more = _COST[suspect.cause](run), _COST[winner.cause](run)
    text = f"Met as well, but {winner.cause} accounts for more ({more:,} failures against {cost:,}). {suspect.summary}"
    if cost >= more:
        text = f"Met as well; explained by {winner.cause}, which comes before it. {suspect.summary}"
    return suspect.replace(verdict="possible", summary=text)


# No cause ----------------------------------------------------------------------------------------------------------


def _no_cause(run: RunResult, suspects: list[Suspect]) -> str:
    failures = run.client_failures
    open_questions = [s.cause for s in suspects if s.verdict == "possible"]
    if open_questions:
        told = f"{failures:,} failures" if failures else "Nothing failed, but not all was well"
        return f"{told}; no cause is confirmed. Possible: {', '.join(open_questions)}."
    if failures:
        worst = max((f for f in run.failures if f.is_clients), key=lambda f: f.count)
        return (
            f"{failures:,} failures, most of them {worst.kind.words} ({worst.count:,}); "
            "none of the known causes explains them."
        )
    if lost := run.lost_workers:
        whose = "one of our own workers was" if len(lost) == 1 else f"{len(lost):,} of our own workers were"
        return f"Nothing failed, but {whose} lost: the run is not complete."
    if not run.funnel.attempted:
        return "Nothing was attempted, so there is nothing to judge."
    unseen = "" if run.server.observed else " The server's end was not observed."
    return f"Nothing failed: {run.funnel.connected:,} of {run.funnel.attempted:,} connected, no limit was met.{unseen}"
