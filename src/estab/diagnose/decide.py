"""From what every suspect says of itself to one cause at most: the same rules for runs and for snapshots.

Where several confirm, two rules decide, in this order: the origin, where one explains the other
(`Cause.why_it_explains`); then the cost, for two that met independently: the one that can answer for more failures, and
at equal cost the one that a connection meets first. What loses is no longer confirmed: it becomes `possible` and says
what explains it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from estab.diagnose.cause import ACCUSED, Cause, Judgement
from estab.records import Diagnosis, RunResult, Suspect
from estab.words import plural


def decide(
    judgements: Sequence[tuple[Cause, Judgement]],
    run: RunResult,
    failures: Callable[[Cause], int] | None,
    without_cause: Callable[[list[Suspect]], str],
) -> Diagnosis:
    """The verdict from all `judgements`, which stand in a connection's order.

    `run`: what remedies are computed from. `failures`: the cost that a cause can answer for; None where none was
    counted. `without_cause`: the summary where nobody is to be accused.
    """
    suspects = [cause.suspect(judgement, run) for cause, judgement in judgements]
    confirmed = [cause for cause, judgement in judgements if judgement.verdict == "confirmed"]
    origins = [cause for cause in confirmed if not any(other.why_it_explains(cause) for other in confirmed)]
    # max() keeps the first of equals: a connection's way decides.
    winner = max(origins, key=failures or (lambda _cause: 0), default=None)
    if winner is not None and run.client_failures and failures is not None and not failures(winner):
        # Met, but it made none of what failed: naming it would explain nothing.
        suspects = [_of_no_account(suspect, run) for suspect in suspects]
        winner = None
    if winner is None:
        return Diagnosis(summary=without_cause(suspects), suspects=suspects)
    beside = [
        suspect if cause is winner else _beside(suspect, cause, winner, failures)
        for suspect, (cause, _judgement) in zip(suspects, judgements, strict=True)
    ]
    named = next(suspect for suspect in suspects if suspect.cause == winner.id)
    return Diagnosis(cause=winner.id, side=named.side, summary=named.summary, suspects=beside)


def open_questions(suspects: list[Suspect]) -> str | None:
    """The causes that are possible, as the end of a summary. None: there is none."""
    possible = [suspect.cause for suspect in suspects if suspect.verdict == "possible"]
    return f"Possible: {', '.join(possible)}." if possible else None


def not_observed(suspects: list[Suspect]) -> int:
    """How many causes could not be judged: a headline says it."""
    return sum(suspect.verdict == "not_observed" for suspect in suspects)


def _beside(suspect: Suspect, cause: Cause, winner: Cause, failures: Callable[[Cause], int] | None) -> Suspect:
    """The suspect as it stands beside the cause: no longer confirmed, nor left open where the cause explains it."""
    if suspect.verdict not in ACCUSED:
        return suspect
    if (reason := winner.why_it_explains(cause)) is not None:
        return suspect.replace(verdict="possible", summary=f"Explained by {winner.id}: {reason}.", remedies=[])
    if suspect.verdict == "possible":
        return suspect
    return suspect.replace(verdict="possible", summary=f"{_met_as_well(cause, winner, failures)} {suspect.summary}")


def _of_no_account(suspect: Suspect, run: RunResult) -> Suspect:
    if suspect.verdict != "confirmed":
        return suspect
    text = f"Met as well, but it accounts for none of the {plural(run.client_failures, 'failure')}."
    return suspect.replace(verdict="possible", summary=f"{text} {suspect.summary}")


def _met_as_well(cause: Cause, winner: Cause, failures: Callable[[Cause], int] | None) -> str:
    if failures is None:
        return f"Met as well; {winner.id} comes before it."
    cost, more = failures(cause), failures(winner)
    if cost >= more:
        return f"Met as well; explained by {winner.id}, which comes before it."
    return f"Met as well, but {winner.id} accounts for more ({plural(more, 'failure')} against {cost:,})."
