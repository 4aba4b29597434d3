"""Asks every suspect, then names at most one cause.

A suspect judges itself alone and knows of no other. Where several confirm, two rules decide, in this order:
`EXPLAINS`, where one is the other's origin; then the cost, for two that met independently: the one that can answer for
more failures, and at equal cost the one that stands earlier in `SUSPECTS`, which follows a connection's way.
What loses is no longer confirmed: it becomes `possible` and says what explains it.
"""

from __future__ import annotations

from estab.diagnose import facts
from estab.diagnose.suspects import SUSPECTS
from estab.records import Diagnosis, RunResult, Suspect

# (origin, consequence): why the consequence is only that.
EXPLAINS: dict[tuple[str, str], str] = {
    ("server_open_files", "server_not_accepting"): "accept() fails for want of a descriptor, so the queue only rises",
    ("server_open_files", "accept_queue_overflow"): (
        "accept() takes the descriptor before the connection, so EMFILE leaves it queued until the queue overflows"
    ),
    ("server_not_accepting", "accept_queue_overflow"): "a queue that nobody empties overflows whatever its length",
    ("time_wait_port_exhaustion", "ephemeral_port_exhaustion"): "the ports are held by TIME_WAIT",
    ("nobody_listening", "server_not_accepting"): "nothing listens, so nothing accepts",
    ("nobody_listening", "accept_queue_overflow"): "nothing listens, so there is no queue",
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
    failures = facts.client_failures(run)
    open_questions = [s.cause for s in suspects if s.verdict == "possible"]
    if open_questions:
        told = f"{failures:,} failures" if failures else "Nothing failed, but not all was well"
        return f"{told}; no cause is confirmed. Possible: {', '.join(open_questions)}."
    if failures:
        worst = max((f for f in run.failures if f.phase != "accept"), key=lambda f: f.count)
        return (
            f"{failures:,} failures, most of them {worst.errno} at {worst.phase} ({worst.count:,}); "
            "none of the known causes explains them."
        )
    lost = [worker for worker in (*run.client.workers, *run.server.workers) if worker.lost]
    if lost:
        whose = "one of our own workers was" if len(lost) == 1 else f"{len(lost):,} of our own workers were"
        return f"Nothing failed, but {whose} lost: the run is not complete."
    if not run.funnel.attempted:
        return "Nothing was attempted, so there is nothing to judge."
    unseen = "" if run.server.observed else " The server's end was not observed."
    return f"Nothing failed: {run.funnel.connected:,} of {run.funnel.attempted:,} connected, no limit was met.{unseen}"
