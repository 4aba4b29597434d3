"""Judges a host from snapshots: two with time between them give deltas, a single one only what stands in it.

A counter since boot is never evidence: a single snapshot shows a queue, a table, a range or a process that is full
*now*, and nothing else. What needs failures, latencies or our own clock needs a run, and is `not_observed` with that
reason. What two can tell, the suspects tell themselves: the snapshots become a run in which nothing was attempted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from estab.diagnose.judge import EXPLAINS
from estab.diagnose.now import deltas, listeners, ports, processes, tables
from estab.diagnose.now.seen import Found, Seen, unseen
from estab.diagnose.suspects import SUSPECTS
from estab.records import Diagnosis, Side, Snapshot, Suspect

Look = Callable[[Seen], Found]


@dataclass(frozen=True)
class NeedsRun:
    """A suspect that no snapshot can judge, and why."""

    why: str

    def __call__(self, seen: Seen) -> Found:
        """Not observed, with the reason."""
        return unseen(f"{self.why}: run estab hold, bench or churn.", "a run", self.why)


LOOKS: dict[str, Look] = {
    "client_open_files": NeedsRun("Whether a client lacks descriptors shows in its own errors"),
    "bound_ports_poisoned": ports.bound,
    "time_wait_port_exhaustion": ports.time_wait,
    "ephemeral_port_exhaustion": ports.live,
    "conntrack_full_local": tables.conntrack,
    "path_filtered": NeedsRun("What a filter does to a SYN shows only when one is sent"),
    "path_flow_table_full": tables.allowance,
    "path_syn_loss": NeedsRun("Lost SYNs show in the latency of connects"),
    "nobody_listening": NeedsRun("Which port a client asks for is not known here"),
    "server_open_files": processes.open_files,
    "server_not_accepting": listeners.not_accepting,
    "accept_thread_starved": processes.starved,
    "defer_accept_drops": deltas.defer,
    "syn_queue_overflow": deltas.syn_queue,
    "cookie_reset": deltas.cookies,
    "abort_on_overflow": deltas.aborted,
    "short_connection_storm": NeedsRun("How long clients wait and how often they come is not known here"),
    "backlog_clamped": listeners.clamped,
    "accept_queue_overflow": listeners.overflow,
    "generator_saturated": NeedsRun("There was no load of ours"),
}


def judge_snapshots(before: Snapshot | None, after: Snapshot) -> Diagnosis:
    """The verdict on a host from `after` alone, or from what changed since `before`. Pure; never raises.

    `before` counts only where it is of the same host and network namespace, and earlier: else it is left out and said.
    """
    why = _unfit(before, after)
    seen = Seen(before if why is None else None, after)
    suspects = [_suspect(module.CAUSE, module.SIDE, LOOKS[module.CAUSE](seen)) for module in SUSPECTS]
    winner = _winner(suspects)
    if winner is None:
        return Diagnosis(summary=_no_cause(seen, suspects, why), suspects=suspects)
    judged = [_demoted(one, winner) for one in suspects]
    summary = f"{winner.summary} {_basis(seen, why)}"
    return Diagnosis(cause=winner.cause, side=winner.side, summary=summary, suspects=judged)


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


def _suspect(cause: str, side: Side, found: Found) -> Suspect:
    remedies = found.remedies() if found.verdict in ("confirmed", "possible") else []
    return Suspect(
        cause=cause,
        side=found.side or side,
        verdict=found.verdict,
        summary=found.summary,
        evidence=found.evidence,
        remedies=remedies,
    )


def _winner(suspects: list[Suspect]) -> Suspect | None:
    """No failures were counted, so no cost decides: the origin, and of several the first on a connection's way."""
    confirmed = [one for one in suspects if one.verdict == "confirmed"]
    causes = {one.cause for one in confirmed}
    return next((one for one in confirmed if not any((c, one.cause) in EXPLAINS for c in causes)), None)


def _demoted(suspect: Suspect, winner: Suspect) -> Suspect:
    if suspect is winner or suspect.verdict not in ("confirmed", "possible"):
        return suspect
    reason = EXPLAINS.get((winner.cause, suspect.cause))
    if reason is not None:
        text = f"Explained by {winner.cause}: {reason}."
        return suspect.replace(verdict="possible", summary=text, remedies=[])
    if suspect.verdict == "possible":
        return suspect
    text = f"Met as well; {winner.cause} comes before it. {suspect.summary}"
    return suspect.replace(verdict="possible", summary=text)


def _basis(seen: Seen, why: str | None) -> str:
    """What the verdict rests on, in a sentence."""
    if why is not None:
        return f"(The two snapshots cannot be set against each other: {why}. This is the second alone.)"
    if seen.before is None:
        return "(From one snapshot: what is so now. Counters since boot tell nothing; take a second one.)"
    return f"(From two snapshots, {seen.span_s:,.1f} s apart.)"


def _no_cause(seen: Seen, suspects: list[Suspect], why: str | None) -> str:
    open_questions = [one.cause for one in suspects if one.verdict == "possible"]
    told = f"No cause is confirmed. Possible: {', '.join(open_questions)}." if open_questions else "No limit is met."
    return f"{told} {_basis(seen, why)}"
