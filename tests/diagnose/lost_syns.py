"""Runs whose SYNs were lost, or were turned away by a listener."""

from __future__ import annotations

from typing import Any

from tests.diagnose import runs

from estab.records import RunResult

TURNED_AWAY = runs.local(runs.watch(drops=300), deltas=runs.deltas(ListenOverflows=300, ListenDrops=300))


def lost(timeouts: int, connected: int = 250, **fields: Any) -> RunResult:
    values: dict[str, Any] = {
        "funnel": runs.funnel(connected + timeouts, connected),
        "failures": [runs.failure("connect", "own_timeout", timeouts)] if timeouts else [],
        "client": runs.sent_again(2 * timeouts),
        "server": runs.untouched(connected),
    }
    return runs.table_full(**{**values, **fields})


def impatient(after_first_failure: int, then: int = 250, final: int = 250) -> dict[str, Any]:
    """A timeout of 0.5 s sees no retransmission: the timeline alone tells whether success ended with the first loss."""
    points = [
        runs.point(0.5, attempted=400 - after_first_failure, connected=then),
        runs.point(0.6, attempted=400 - after_first_failure, connected=then, failed=1),
        runs.point(3.0, attempted=400, connected=final, failed=150),
    ]
    client = runs.sent_again(0)
    return {"config": {"timeout_s": 0.5}, "timeline": points, "client": client}
