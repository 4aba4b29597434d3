"""The process in which a twin's namespaces live: started by `run`, gone with it. See `estab.lab.stagehand`.

Order on standard input, one line of JSON an event on standard output: what is done, and the whole result so far.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Any

import msgspec

from estab.errors import EstabError, MachineError
from estab.lab import _linux, stagehand
from estab.lab.twin import nearness, play, words
from estab.lab.twin.plan import plan
from estab.lab.twin.record import TwinRemedy, TwinResult
from estab.lab.twin.remedies import express
from estab.lab.twin.scaling import scaled
from estab.lab.twin.setup import Setup
from estab.records import RUN_SCHEMA, Remedy, RunResult, decode


def main() -> None:
    """What the runner starts. Exit status 0 when all was said, whatever it was."""
    _linux.die_with_parent(int(sys.argv[2]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = json.loads(sys.stdin.readline())
    try:
        stagehand.seclude()
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
    recorded = decode(order["run"].encode(), RunResult, RUN_SCHEMA)
    cause = nearness.named(recorded)
    planned = plan(recorded)
    setup, lost = play.fitted(scaled(planned.setup, scale))
    so = _So(TwinResult(file=order["file"], scale=scale, recorded_cause=cause))
    so.far(
        built=words.built(setup), assumed=list(planned.assumed), not_isolated=[*planned.not_isolated, *lost],
        recorded=nearness.outcome(recorded),
    )  # fmt: skip
    _tell("the recorded load")
    twin = play.play(setup)
    so.far(
        rows=nearness.nearness(recorded, twin, scale), run=twin, before=nearness.outcome(twin),
        cause=nearness.named(twin), same_cause=nearness.named(twin) == cause,
        summary=twin.diagnosis.summary if twin.diagnosis else "",
    )  # fmt: skip
    if so.result.same_cause:
        trials = _Trials(setup, twin, scale)
        done: list[TwinRemedy] = []
        for remedy, side in nearness.remedies(recorded):
            done.append(trials.of(remedy, side))
            so.far(remedies=list(done))


class _Trials:
    """Remedies tried on one twin; the same change is played once."""

    def __init__(self, setup: Setup, before: RunResult, scale: float) -> None:
        self._setup, self._before, self._scale = setup, before, scale
        self._played = {setup: before}

    def of(self, remedy: Remedy, side: str) -> TwinRemedy:
        """What the twin says of it."""
        said = express(remedy.command, remedy.works, self._setup, side, self._scale)
        one = TwinRemedy(command=remedy.command, claimed=remedy.works, did=said.did, came="not_expressed")
        if said.setup is None:
            return one
        try:
            after = self._run(said.setup, said.did)
            one = self._came(one, after)
            return self._with_more(one, said.setup, after) if remedy.works and one.came != "works" else one
        except EstabError as error:
            return one.replace(came="not_tried", did=f"{said.did}: {error}")

    def _run(self, wanted: Setup, did: str) -> RunResult:
        changed, lost = play.fitted(wanted)
        if lost:
            raise MachineError("; ".join(lost))
        if changed not in self._played:
            _tell(f"with a remedy: {did}")
            self._played[changed] = play.play(changed)
        return self._played[changed]

    def _came(self, one: TwinRemedy, after: RunResult) -> TwinRemedy:
        came, left = nearness.came(self._before, after), nearness.named(after)
        return one.replace(came=came, after=nearness.outcome(after), left=left)

    def _with_more(self, one: TwinRemedy, setup: Setup, after: RunResult) -> TwinRemedy:
        """Another cause may be left once the first is gone: with the first remedy of that one that can be tried."""
        if one.left in (None, nearness.named(self._before)):
            return one
        for more, side in nearness.remedies(after):
            said = express(more.command, more.works, setup, side, self._scale)
            if more.works and said.setup is not None and said.setup != setup:
                both = self._came(one, self._run(said.setup, f"{one.did}, {said.did}"))
                return both.replace(came="works_with", too=said.did) if both.came == "works" else one
        return one
