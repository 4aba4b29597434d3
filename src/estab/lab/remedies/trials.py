"""Each remedy of a verdict, tried on a setup that shows the failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from estab.errors import EstabError, MachineError
from estab.lab.remedies.express import LOOKS, express
from estab.lab.remedies.outcome import all_accepted, came, outcome
from estab.lab.stage.fit import fitted
from estab.lab.stage.setup import Setup
from estab.records import Diagnosis, Remedy, RunResult
from estab.records.twin import TwinRemedy


def remedies_of(diagnosis: Diagnosis | None) -> list[Remedy]:
    """The remedies of the cause that the judge names."""
    accused = diagnosis.accused if diagnosis is not None else None
    return list(accused.remedies) if accused is not None else []


class Trials:
    """Remedies tried on one setup, of which `before` came; the same change is run once. `run(setup, did)` runs it.

    `known` is what came of setups that were run before: a remedy that leads to one of them is not run again.
    """

    def __init__(
        self,
        setup: Setup,
        before: RunResult,
        run: Callable[[Setup, str], RunResult],
        *,
        scale: float = 1.0,
        known: Mapping[Setup, RunResult] = MappingProxyType({}),
    ) -> None:
        self._setup, self._before, self._scale = setup, before, scale
        self._run_setup = run
        self._runs = {**known, setup: before}

    def of(self, remedy: Remedy) -> TwinRemedy:
        """What came of it."""
        expressed = express(remedy, self._setup, self._scale)
        tried = TwinRemedy(command=remedy.command, claimed=remedy.works, did=expressed.did, came="not_expressed")
        if expressed.setup is None:
            return tried.replace(came="looks") if expressed.did == LOOKS else tried
        try:
            after = self._run(expressed.setup, expressed.did, capped=not remedy.works)
            tried = self._came(tried, after)
            if tried.came == "works" and not remedy.works:  # against the verdict: once may be chance
                again = self._run(expressed.setup, f"{expressed.did}, once more", capped=True, anew=True)
                tried = self._came(tried, again)
            works = tried.came == "works" or not remedy.works
            return tried if works else self._with_more(tried, expressed.setup, after)
        except EstabError as error:
            return tried.replace(came="not_tried", did=f"{expressed.did}: {error}")

    def _run(self, wanted: Setup, did: str, *, capped: bool = False, anew: bool = False) -> RunResult:
        """`capped`: as far as this machine goes, which is enough for what is said to do nothing. `anew`: run again."""
        changed, lost = fitted(wanted)
        if lost and not capped:
            raise MachineError("; ".join(lost))
        if anew or changed not in self._runs:
            self._runs[changed] = self._run_setup(changed, did)
        return self._runs[changed]

    def _came(self, tried: TwinRemedy, after: RunResult) -> TwinRemedy:
        result = came(self._before, after)
        if result == "works" and not tried.claimed and not all_accepted(after):
            result = "helps"  # they wait in a longer queue; served they are not
        return tried.replace(came=result, after=outcome(after), left=after.cause)

    def _with_more(self, tried: TwinRemedy, setup: Setup, after: RunResult) -> TwinRemedy:
        """Another cause may be left once the first is gone: with the first remedy of that one that can be tried.

        Not with one that takes this remedy back: without it, that one would change nothing.
        """
        if tried.left in (None, self._before.cause):
            return tried
        for remedy in remedies_of(after.diagnosis):
            more = express(remedy, setup, self._scale)
            alone = express(remedy, self._setup, self._scale)
            if remedy.works and more.setup not in (None, setup) and alone.setup is not None:
                both = self._came(tried, self._run(more.setup, f"{tried.did}, {more.did}"))
                return both.replace(came="works_with", too=more.did) if both.came == "works" else tried
        return tried
