"""The process in which a twin's namespaces live: started by `session`, gone with it.

It says what is done, and the whole result so far, so that an interrupted twin has what it had.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from estab.lab.process.isolation import Inside
from estab.lab.process.worker import say, work
from estab.lab.remedies.outcome import outcome
from estab.lab.remedies.trials import Trials, remedies_of
from estab.lab.stage import fit, running
from estab.lab.stage.scaling import scaled
from estab.lab.stage.setup import Setup
from estab.lab.twin import fidelity, from_snapshots, words
from estab.lab.twin.overrides import Overrides
from estab.lab.twin.plan import Planned, plan
from estab.records import RUN_SCHEMA, SNAPSHOT_SCHEMA, Diagnosis, RunResult, Snapshot, decode
from estab.records.twin import TwinResult, TwinRow


def main() -> None:
    """What the session starts."""
    work(_perform)


class _Progress:
    """The result so far; said anew with each change."""

    def __init__(self, result: TwinResult) -> None:
        self.result = result

    def update(self, **changes: object) -> None:
        self.result = self.result.replace(**changes)
        say({"twin": msgspec.to_builtins(self.result)})


def _tell(stage: str) -> None:
    say({"stage": ["twin", stage]})


def _run(setup: Setup, did: str) -> RunResult:
    _tell(f"with a remedy: {did}")
    return running.run(setup)


def _perform(order: dict[str, Any], _inside: Inside) -> None:
    scale = order["scale"]
    record: _Record = _RecordedSnapshots(order) if order["snapshots"] else _RecordedRun(order)
    planned = Overrides(**order["overrides"]).on(record.planned)
    setup, lost = fit.fitted(scaled(planned.setup, scale))
    progress = _Progress(TwinResult(file=order["file"], scale=scale, recorded_cause=record.diagnosis.cause))
    progress.update(
        built=words.built(setup), assumed=list(planned.assumed), not_isolated=[*planned.not_isolated, *lost],
        recorded=record.outcome,
    )  # fmt: skip
    _tell("the recorded load")
    run, rows, diagnosis = record.compare(setup, scale)
    same_cause = diagnosis.cause == record.diagnosis.cause
    progress.update(
        rows=rows, run=run, before=outcome(run), cause=diagnosis.cause, summary=diagnosis.summary,
        same_cause=same_cause,
    )  # fmt: skip
    trials, tried = Trials(setup, run, _run, scale=scale), []
    for remedy in remedies_of(record.diagnosis) if same_cause else []:
        tried.append(trials.of(remedy))
        progress.update(remedies=list(tried))


class _Record(Protocol):
    """What a twin is made of, and set against."""

    diagnosis: Diagnosis
    planned: Planned
    outcome: str

    def compare(self, setup: Setup, scale: float) -> tuple[RunResult, list[TwinRow], Diagnosis]:
        """The twin's run, how near it came, and what the judge says of it."""


class _RecordedRun:
    """A recorded run: its twin is set against it, funnel by funnel."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._run = decode(order["run"].encode(), RunResult, RUN_SCHEMA)
        self.diagnosis = fidelity.judged(self._run)
        self.planned = plan(self._run)
        self.outcome = outcome(self._run)

    def compare(self, setup: Setup, scale: float) -> tuple[RunResult, list[TwinRow], Diagnosis]:
        """The twin's run, how near it came, and what the judge says of it."""
        run = running.run(setup)
        return run, fidelity.rows(self._run, run, scale), fidelity.judged(run)


class _RecordedSnapshots:
    """Recorded snapshots: the twin is looked at as they looked, and judged by that."""

    def __init__(self, order: dict[str, Any]) -> None:
        snapshots = [decode(text.encode(), Snapshot, SNAPSHOT_SCHEMA) for text in order["snapshots"]]
        self._recorded = from_snapshots.judged(snapshots)
        self.diagnosis = self._recorded.diagnosis
        self.planned = from_snapshots.plan(self._recorded)
        self.outcome = from_snapshots.outcome(self._recorded)

    def compare(self, setup: Setup, scale: float) -> tuple[RunResult, list[TwinRow], Diagnosis]:
        """The run behind the snapshots of the twin, how near these came, and what the judge says of them."""
        recorded = self._recorded
        look = running.LookTimes(recorded.first_s, recorded.look_s, at_client=recorded.of_client)
        run, series = running.looked_at(setup, look)
        twin = from_snapshots.judged(series)
        rows = fidelity.set_against(from_snapshots.figures(recorded, scale), from_snapshots.figures(twin))
        return run, rows, twin.diagnosis
