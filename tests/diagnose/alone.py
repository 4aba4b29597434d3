"""A suspect asked alone, without the others."""

from __future__ import annotations

from estab.diagnose.suspects import BY_ID
from estab.records import RunResult, Suspect


def alone(cause: str, run: RunResult) -> Suspect:
    """What the suspect says of a run, before anybody is set against it."""
    return BY_ID[cause].suspect(BY_ID[cause].judge_run(run), run)
