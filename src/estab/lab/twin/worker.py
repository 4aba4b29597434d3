"""The process in which a twin's namespaces live: started by `run`, gone with it. See `estab.lab.run.worker`.

Order on standard input, one line of JSON an event on standard output: what is done, and the whole result so far.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Any

import msgspec

from estab.errors import EstabError, MachineError
from estab.lab.process import linux
from estab.lab.process.isolation import isolate
from estab.lab.stage import play
from estab.lab.stage.setup import Setup
from estab.lab.twin import fidelity, from_snapshots, words
from estab.lab.twin.overrides import Given
from estab.lab.twin.plan import plan
from estab.lab.twin.remedies import LOOKS, express
from estab.lab.twin.scaling import scaled
from estab.records import RUN_SCHEMA, SNAPSHOT_SCHEMA, Diagnosis, Remedy, RunResult, Snapshot, decode
from estab.records.twin import TwinRemedy, TwinResult, TwinRow


def main() -> None:
    """What the runner starts. Exit status 0 when all was said, whatever it was."""
    linux.die_with_parent(int(sys.argv[2]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = json.loads(sys.stdin.readline())
    try:
        isolate()
        _perform(order)
    except EstabError as error:
        _say({"error": [type(error).__name__, str(error)]})


def _say(event: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def _tell(stage: str) -> None:
    _say({"stage": ["twin", stage]})


class _So:
    """The result so far; said anew with each change, so that an interrupted twin has what it had."""

    def __init__(self, result: TwinResult) -> None:
        self.result = result

    def far(self, **changes: object) -> None:
        self.result = self.result.replace(**changes)
        _say({"twin": msgspec.to_builtins(self.result)})


def _perform(order: dict[str, Any]) -> None:
    scale = order["scale"]
    of = _Snapshots(order) if order["snapshots"] else _Run(order)
    setup, lost = play.fitted(scaled(of.planned.setup, scale))
    so = _So(TwinResult(file=order["file"], scale=scale, recorded_cause=of.diagnosis.cause))
    so.far(
        built=words.built(setup), assumed=list(of.planned.assumed), not_isolated=[*of.planned.not_isolated, *lost],
        recorded=of.outcome,
    )  # fmt: skip
    _tell("the recorded load")
    twin, rows, diagnosis = of.compare(setup, scale)
    so.far(
        rows=rows, run=twin, before=fidelity.outcome(twin), cause=diagnosis.cause, summary=diagnosis.summary,
        same_cause=diagnosis.cause == of.diagnosis.cause,
    )  # fmt: skip
    if so.result.same_cause:
        trials = _Trials(setup, twin, scale)
        done: list[TwinRemedy] = []
        for remedy in fidelity.remedies(of.diagnosis):
            done.append(trials.of(remedy))
            so.far(remedies=list(done))


class _Run:
    """A recorded run: its twin is set against it, funnel by funnel."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._run = decode(order["run"].encode(), RunResult, RUN_SCHEMA)
        self.diagnosis = fidelity.judged(self._run)
        self.planned = Given(**order["given"]).on(plan(self._run))
        self.outcome = fidelity.outcome(self._run)

    def compare(self, setup: Setup, scale: float) -> tuple[RunResult, list[TwinRow], Diagnosis]:
        """The twin's run, how near it came, and what the judge says of it."""
        twin = play.play(setup)
        return twin, fidelity.nearness(self._run, twin, scale), fidelity.judged(twin)


class _Snapshots:
    """Recorded snapshots: the twin is looked at as they looked, and judged by that."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._there = from_snapshots.moments(
            [decode(one.encode(), Snapshot, SNAPSHOT_SCHEMA) for one in order["snapshots"]]
        )
        self.diagnosis = self._there.diagnosis
        self.planned = Given(**order["given"]).on(from_snapshots.plan(self._there))
        self.outcome = from_snapshots.outcome(self._there)

    def compare(self, setup: Setup, scale: float) -> tuple[RunResult, list[TwinRow], Diagnosis]:
        """The run behind the snapshots of the twin, how near these came, and what the judge says of them."""
        look = play.Look(self._there.first_s, self._there.look_s, at_client=self._there.of_client)
        twin, series = play.looked_at(setup, look)
        here = from_snapshots.moments(series)
        rows = fidelity.set_against(from_snapshots.figures(self._there, scale), from_snapshots.figures(here))
        return twin, rows, here.diagnosis


class _Trials:
    """Remedies tried on one twin; the same change is played once."""

    def __init__(self, setup: Setup, before: RunResult, scale: float) -> None:
        self._setup, self._before, self._scale = setup, before, scale
        self._played = {setup: before}

    def of(self, remedy: Remedy) -> TwinRemedy:
        """What the twin says of it."""
        said = express(remedy, self._setup, self._scale)
        one = TwinRemedy(command=remedy.command, claimed=remedy.works, did=said.did, came="not_expressed")
        if said.setup is None:
            return one.replace(came="looks") if said.did == LOOKS else one
        try:
            after = self._run(said.setup, said.did, capped=not remedy.works)
            one = self._came(one, after)
            if one.came == "works" and not remedy.works:  # against the verdict: once may be chance
                one = self._came(one, self._run(said.setup, f"{said.did}, once more", capped=True, anew=True))
            return self._with_more(one, said.setup, after) if remedy.works and one.came != "works" else one
        except EstabError as error:
            return one.replace(came="not_tried", did=f"{said.did}: {error}")

    def _run(self, wanted: Setup, did: str, *, capped: bool = False, anew: bool = False) -> RunResult:
        """`capped`: as far as this machine goes, which is enough for what is said to do nothing. `anew`: play again."""
        changed, lost = play.fitted(wanted)
        if lost and not capped:
            raise MachineError("; ".join(lost))
        if anew or changed not in self._played:
            _tell(f"with a remedy: {did}")
            self._played[changed] = play.play(changed)
        return self._played[changed]

    def _came(self, one: TwinRemedy, after: RunResult) -> TwinRemedy:
        came, left = fidelity.came(self._before, after), after.cause
        if came == "works" and not one.claimed and not fidelity.all_served(after):
            came = "helps"  # they wait in a longer queue; served they are not
        return one.replace(came=came, after=fidelity.outcome(after), left=left)

    def _with_more(self, one: TwinRemedy, setup: Setup, after: RunResult) -> TwinRemedy:
        """Another cause may be left once the first is gone: with the first remedy of that one that can be tried."""
        if one.left in (None, self._before.cause):
            return one
        for more in fidelity.remedies(fidelity.judged(after)):
            said = express(more, setup, self._scale)
            if more.works and said.setup is not None and said.setup != setup:
                both = self._came(one, self._run(said.setup, f"{one.did}, {said.did}"))
                return both.replace(came="works_with", too=said.did) if both.came == "works" else one
        return one
