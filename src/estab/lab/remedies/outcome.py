"""What came of a run in a few words, and whether a remedy mended it. Pure."""

from __future__ import annotations

from estab.records import RunResult
from estab.records.twin import Came
from estab.words import plural


def outcome(run: RunResult) -> str:
    """What came of a run, in a few words."""
    parts = [f"{run.funnel.connected:,} of {run.funnel.attempted:,} connected"]
    if run.funnel.accepted is not None:
        parts.append(f"{run.funnel.accepted:,} accepted")
    queued = run.server.listener.queued_at_end if run.server.listener else None
    if queued:
        parts.append(f"{queued:,} in the accept queue")
    parts += [f"{failure.count:,} {failure.kind.words}" for failure in run.failures[:3]]
    if run.ghosts is not None and run.ghosts.count:
        parts.append(plural(run.ghosts.count, "ghost"))
    if run.retransmitted:
        parts.append(f"{run.retransmitted:,} sent SYN again")
    return ", ".join(parts)


def wrong(run: RunResult) -> int:
    """What a client would complain of: failures, and ghosts."""
    return run.client_failures + (run.ghosts.count if run.ghosts else 0)


def came(before: RunResult, after: RunResult) -> Came:
    """What a remedy did: "works" only where nothing is wrong and nobody is accused any more."""
    if not wrong(after) and after.cause is None and _all_connected(after):
        return "works"
    better = bool(wrong(before)) and wrong(after) <= wrong(before) / 2
    better = better or after.funnel.connected >= 1.5 * before.funnel.connected
    return "helps" if better and (after.funnel.accepted or 0) > (before.funnel.accepted or 0) else "does_nothing"


def all_accepted(run: RunResult) -> bool:
    """Was everyone accepted who was connected, as far as that was seen?"""
    return run.funnel.accepted is None or run.funnel.accepted >= run.funnel.connected


def _all_connected(run: RunResult) -> bool:
    return run.funnel.connected == run.funnel.attempted or run.command != "hold"
