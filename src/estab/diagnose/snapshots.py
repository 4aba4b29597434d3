"""The verdict on a host from snapshots: two with time between them give deltas, one only what stands in it.

A counter since boot is never evidence: a single snapshot shows a queue, a table, a range or a process that is full
*now*, and nothing else. What needs failures, latencies or our own clock needs a run, and is `not_observed` with that
reason.
"""

from __future__ import annotations

import math

from estab.diagnose.decide import decide, not_observed, open_questions
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.suspects import CAUSES
from estab.records import Diagnosis, Snapshot, Suspect


def judge_snapshots(before: Snapshot | None, after: Snapshot) -> Diagnosis:
    """The verdict on a host from `after` alone, or from what changed since `before`. Pure; never raises.

    `before` counts only where it is of the same host and network namespace, and earlier: else it is left out and said.
    """
    why = _unfit(before, after)
    snapshots = Snapshots(before if why is None else None, after)
    judged = decide(
        [(cause, cause.judge_snapshots(snapshots)) for cause in CAUSES],
        snapshots.run(None),
        failures=None,
        without_cause=_no_cause,
    )
    return judged.replace(summary=f"{judged.summary} {_basis(snapshots, why)}")


def _unfit(before: Snapshot | None, after: Snapshot) -> str | None:
    """Why the two cannot be set against each other, or None."""
    if before is None:
        return None
    if not (math.isfinite(before.taken_at_s) and math.isfinite(after.taken_at_s)):
        return "their times are not known"
    if before.taken_at_s >= after.taken_at_s:
        return "the first was not taken before the second"
    hosts = (before.host.hostname, after.host.hostname)
    if None not in hosts and hosts[0] != hosts[1]:
        return f"they are of two hosts ({hosts[0]}, {hosts[1]})"
    spaces = (before.host.netns_inode, after.host.netns_inode)
    if None not in spaces and spaces[0] != spaces[1]:
        return "they are of two network namespaces"
    return None


def fit(before: Snapshot, after: Snapshot) -> bool:
    """Whether the two can be set against each other: one host, one network namespace, and in that order."""
    return _unfit(before, after) is None


def _basis(snapshots: Snapshots, why: str | None) -> str:
    """What the verdict rests on, in a sentence."""
    if why is not None:
        return f"(The two snapshots cannot be set against each other: {why}. This is the second alone.)"
    if snapshots.before is None:
        return "(From one snapshot: what is so now. Counters since boot tell nothing; take a second one.)"
    return f"(From two snapshots, {snapshots.span_s:,.1f} s apart.)"


def _no_cause(suspects: list[Suspect]) -> str:
    questions = open_questions(suspects)
    told = f"No cause is confirmed. {questions}" if questions else "No limit is met."
    unseen = not_observed(suspects)
    return f"{told} {unseen} of {len(suspects)} causes show only in a run." if unseen else told
