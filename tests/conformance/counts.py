"""What a run's counts have to say, whichever engine counted."""

from __future__ import annotations

from estab import RunResult
from estab.records.failure import CLIENT_PHASES


def failed(run: RunResult) -> dict[tuple[str, str], int]:
    return {(failure.phase, failure.errno): failure.count for failure in run.failures}


def assert_counts_add_up(run: RunResult) -> None:
    """Nothing is dropped: every attempt ends completed or as one failure."""
    phases = {phase: sum(f.count for f in run.failures if f.phase == phase) for phase in CLIENT_PHASES}
    assert run.funnel.attempted == run.funnel.connected + phases["connect"]
    assert run.funnel.connected == run.funnel.completed + sum(phases.values()) - phases["connect"]
    assert run.timeline[-1].open == 0
    assert run.timeline[-1].failed == sum(phases.values())


def assert_healthy(run: RunResult, connections: int) -> None:
    assert failed(run) == {}
    assert run.diagnosis is not None
    assert run.diagnosis.cause is None
    assert run.funnel.attempted == run.funnel.connected == run.funnel.completed
    assert run.funnel.connected >= connections
    assert_counts_add_up(run)
