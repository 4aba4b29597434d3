"""One scenario as a whole: predict, run, judge, each remedy of the verdict, the control; and how it all agrees."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict

from estab import shortage
from estab.errors import EstabError, MachineError
from estab.kernel.rules.interval import Interval
from estab.lab.parts.scenario import Figure, FigureRow, Measured, Scenario, made
from estab.lab.parts.settings import Value
from estab.lab.remedies.trials import Trials
from estab.lab.stage.runner import Runner
from estab.lab.stage.running import Running
from estab.lab.stage.setup import Setup
from estab.records import RunResult
from estab.records.lab import LabCeiling, LabRemedy, LabRow, LabScenario
from estab.records.twin import Came, TwinRemedy

_WORKS: dict[Came, bool] = {"works": True, "works_with": True, "helps": False, "does_nothing": False}


def run_scenario(
    runner: Runner, changes: Mapping[str, Value], *, full: bool = False, sweep: bool = False
) -> LabScenario:
    """The whole of one scenario. Raises UsageError for settings that cannot be; all else stands in what is returned.

    `full`: timelines in real time. `sweep`: nothing but the ceilings at several sizes.
    """
    scenario = made(runner.name, changes, full=full or sweep)
    began = time.monotonic()
    blank = LabScenario(
        name=runner.name, symptom=scenario.symptom, side=scenario.side, status="failed", settings=asdict(scenario),
        expected=scenario.expected,
    )  # fmt: skip
    if (reason := scenario.why_not()) is not None:
        return blank.replace(status="cannot_run", why=reason)
    if runner.command is not None and scenario.no_own_server is not None:
        return blank.replace(status="cannot_run", why=f"a server of your own can't take part: {scenario.no_own_server}")
    measurements = Measurements(runner)
    try:
        done = (_sweep if sweep else _whole)(scenario, measurements, blank)
    except MachineError as error:
        done = blank.replace(status="cannot_run", why=str(error))
    except EstabError as error:
        done = blank.replace(why=str(error))
    except Exception as error:  # a fault of the scenario's own must not end the others
        if lacking := shortage.explain(error):
            done = blank.replace(status="cannot_run", why=lacking)
        else:
            last = traceback.extract_tb(error.__traceback__)[-1]
            done = blank.replace(why=f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})")
    return done.replace(seconds=round(time.monotonic() - began, 2), captures=runner.files)


class Measurements:
    """What came of a scenario by its settings, each run once."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self._measured: dict[Scenario, Measured] = {}

    @property
    def runs(self) -> dict[Setup, RunResult]:
        """What came of each setup so far."""
        return {measured.setup: measured.run for measured in self._measured.values()}

    def of(self, scenario: Scenario) -> Measured:
        """What came of it."""
        if scenario not in self._measured:
            self._measured[scenario] = self._run(scenario)
        return self._measured[scenario]

    def _run(self, scenario: Scenario) -> Measured:
        seen: dict[str, Value] = {}

        def look(running: Running) -> None:
            seen.update(scenario.look(running))

        setup = scenario.setup()
        ran = self.runner.run(setup, look)
        return Measured(setup, ran.run, {**seen, **scenario.measure(ran)})


def _whole(scenario: Scenario, measurements: Measurements, blank: LabScenario) -> LabScenario:
    tell = measurements.runner.tell
    tell("predicting")
    predicted = scenario.predict()
    tell("running")
    measured = measurements.of(scenario)
    rows = [_row(FigureRow(what, figure, measured.figures.get(what))) for what, figure in predicted.items()]
    if type(scenario).more is not Scenario.more:
        tell("more figures")
    rows += [_row(row) for row in scenario.more(measurements)]
    only_possible = _only_possible(scenario, measured.run)
    cause = measured.run.cause
    named = cause == scenario.expected or only_possible is not None
    remedies = _remedies(scenario, measured, measurements) if named else []
    accused = _control(scenario, measurements)
    agrees = all(row.agrees for row in rows) and named and not accused
    agrees = agrees and all(remedy.works in (None, remedy.claimed) for remedy in remedies)
    return blank.replace(
        status="as_predicted" if agrees else "differs",
        cause=cause,
        only_possible=only_possible,
        summary=measured.run.diagnosis.summary if measured.run.diagnosis else "",
        rows=rows,
        remedies=remedies,
        control_ran=scenario.control is not None,
        accused_in_control=accused,
        notes=list(scenario.notes(own_server=measurements.runner.command is not None)),
    )


def _only_possible(scenario: Scenario, run: RunResult) -> str | None:
    """Why this kernel can't confirm the scenario's cause, where the judge calls it possible and accuses nobody."""
    if run.diagnosis is None or run.cause is not None or scenario.expected is None:
        return None
    possible = {suspect.cause for suspect in run.diagnosis.suspects if suspect.verdict == "possible"}
    return scenario.only_possible() if scenario.cause in possible else None


def _sweep(scenario: Scenario, measurements: Measurements, blank: LabScenario) -> LabScenario:
    """Nothing but the sweep: the ceiling at each size, and whether the judge names the cause at each."""
    points = []
    measurements.runner.tell("sweeping")
    for point in scenario.points(measurements):
        points.append(point)
        measurements.runner.tell(f"sweeping: {point.size:,} set, {point.run.funnel.connected:,} found")
    rows = [_row(point.row) for point in points]
    diagnoses = [point.run.diagnosis for point in points if point.run.diagnosis]
    causes = {diagnosis.cause for diagnosis in diagnoses}
    agrees = all(row.agrees for row in rows) and causes == {scenario.cause}
    ceilings = [
        LabCeiling(size=point.size, predicted=point.predicted, found=point.run.funnel.connected) for point in points
    ]
    return blank.replace(
        status="as_predicted" if agrees else "differs",
        cause=causes.pop() if len(causes) == 1 else None,
        summary=diagnoses[-1].summary if diagnoses else "",
        rows=rows,
        ceilings=ceilings,
    )


def _remedies(scenario: Scenario, measured: Measured, measurements: Measurements) -> list[LabRemedy]:
    """All that the verdict offers, each tried on the setup that was judged; what was measured so already counts."""
    runner, suspects = measurements.runner, measured.run.diagnosis.suspects if measured.run.diagnosis else []
    wanted = next((suspect.remedies for suspect in suspects if suspect.cause == scenario.cause), [])
    tried: list[LabRemedy] = []

    def run(setup: Setup, did: str) -> RunResult:
        runner.tell(f"remedy {len(tried) + 1} of {len(wanted)}: {did}")
        return runner.run(setup).run

    trials = Trials(measured.setup, measured.run, run, known=measurements.runs)
    for remedy in wanted:
        tried.append(_remedy(trials.of(remedy)))
    return tried


def _remedy(tried: TwinRemedy) -> LabRemedy:
    text = f"with {tried.too}: {tried.after}" if tried.too else tried.after or tried.did
    return LabRemedy(command=tried.command, claimed=tried.claimed, works=_WORKS.get(tried.came), text=text)


def _control(scenario: Scenario, measurements: Measurements) -> list[str]:
    """Who is accused where all is well: nobody may be."""
    if scenario.control is None:
        return []
    measurements.runner.tell("the healthy control")
    run = measurements.of(scenario.but(**scenario.control)).run
    suspects = run.diagnosis.suspects if run.diagnosis else []
    accused = [suspect.cause for suspect in suspects if suspect.verdict == "confirmed"]
    return accused if not run.client_failures else [*accused, f"{run.client_failures} failures in the control"]


def _row(row: FigureRow) -> LabRow:
    return LabRow(
        what=row.what,
        predicted=_written(row.predicted),
        measured=_written(row.measured),
        agrees=_agrees(row.predicted, row.measured),
    )


def _agrees(predicted: Figure, measured: Value) -> bool:
    if isinstance(predicted, Interval):
        return isinstance(measured, int | float) and measured in predicted
    return measured is not None and predicted == measured


def _written(figure: Figure) -> str:
    if figure is None:
        return "not measured"
    if isinstance(figure, Interval):
        low = _written(figure.low)
        if figure.exact:
            return low
        return f"{low} or more" if figure.high is None else f"{low} to {_written(figure.high)}"
    if isinstance(figure, bool):
        return "yes" if figure else "no"
    if isinstance(figure, int | float) and math.isfinite(figure):
        return f"{figure:,.0f}" if figure == int(figure) else f"{figure:,.2f}"
    return str(figure)
