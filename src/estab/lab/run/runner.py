"""Plays one scenario as a whole: predict, play, judge, each remedy, the control; and says how it all agrees."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from estab.errors import EstabError, MachineError
from estab.kernel.rules.interval import Interval
from estab.lab.parts.scenario import (
    Act,
    Ceiling,
    Figure,
    Played,
    Row,
    Scenario,
    Value,
    changed,
    own_server,
    settings_of,
    why_not,
)
from estab.records.lab import LabCeiling, LabRemedy, LabRow, LabScenario


def direct(scenario: Scenario, act: Act, changes: Mapping[str, Value]) -> LabScenario:
    """The whole of one scenario. Raises UsageError for settings that cannot be; all else stands in what is returned."""
    settings = settings_for(scenario, act, changes)
    began = time.monotonic()
    shown: dict[str, Value] = dict(asdict(settings))
    blank = LabScenario(
        name=act.name, symptom=scenario.SYMPTOM, side=scenario.SIDE, status="failed", settings=shown,
        expected=scenario.CAUSE,
    )  # fmt: skip
    if (reason := why_not(scenario)) is not None:
        return blank.replace(status="cannot_run", why=reason)
    if act.command is not None and (reason := own_server(scenario)) is not None:
        return blank.replace(status="cannot_run", why=f"--server can't take part: {reason}")
    try:
        done = (_sweep if act.only_sweep else _perform)(scenario, act, settings, blank)
    except MachineError as error:
        done = blank.replace(status="cannot_run", why=str(error))
    except EstabError as error:
        done = blank.replace(why=str(error))
    except Exception as error:  # a fault of the scenario's own must not end the others
        last = traceback.extract_tb(error.__traceback__)[-1]
        done = blank.replace(why=f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})")
    return done.replace(seconds=round(time.monotonic() - began, 2), captures=act.files)


def settings_for(scenario: Scenario, act: Act, changes: Mapping[str, Value]) -> Any:
    """Its settings with `changes`, over those of `--full` where that, or a sweep, was asked for. Raises UsageError."""
    full = getattr(scenario, "FULL", {}) if act.full or act.only_sweep else {}
    return settings_of(scenario, {**full, **changes})


def _perform(scenario: Scenario, act: Act, settings: object, blank: LabScenario) -> LabScenario:
    act.tell("predicting")
    predicted = dict(scenario.predict(settings))
    act.tell("running")
    played = act.again(scenario, settings)
    rows = [_row(Row(what, figure, played.measured.get(what))) for what, figure in predicted.items()]
    more = getattr(scenario, "more", None)
    if more is not None:
        act.tell("more figures")
        rows += [_row(row) for row in more(act, settings)]
    diagnosis = played.run.diagnosis if played.run else None
    cause = diagnosis.cause if diagnosis else None
    remedies = [_try(scenario, act, settings, number) for number in range(len(scenario.REMEDIES))]
    accused = _control(scenario, act, settings)
    agrees = all(row.agrees for row in rows) and (played.run is None or cause == scenario.CAUSE) and not accused
    agrees = agrees and all(one.works in (None, one.claimed) for one in remedies)
    return blank.replace(
        status="as_predicted" if agrees else "differs",
        cause=cause,
        summary=diagnosis.summary if diagnosis else "",
        rows=rows,
        remedies=remedies,
        control_ran=scenario.CONTROL is not None,
        accused_in_control=accused or [],
        notes=list(played.notes),
    )


def _sweep(scenario: Scenario, act: Act, settings: object, blank: LabScenario) -> LabScenario:
    """Nothing but the sweep: the ceiling at each size, and whether the judge names the cause at each."""
    points: list[Ceiling] = []
    made: Iterator[Ceiling] = getattr(scenario, "sweep")(act, settings)  # noqa: B009 - few scenarios have one
    act.tell("sweeping")
    for one in made:
        points.append(one)
        act.tell(f"sweeping: {one.size:,} set, {one.found or 0:,} found")
    rows = [_row(one.row()) for one in points]
    diagnoses = [one.played.run.diagnosis for one in points if one.played.run and one.played.run.diagnosis]
    causes = {one.cause for one in diagnoses}
    agrees = all(row.agrees for row in rows) and causes == {scenario.CAUSE}
    return blank.replace(
        status="as_predicted" if agrees else "differs",
        cause=causes.pop() if len(causes) == 1 else None,
        summary=diagnoses[-1].summary if diagnoses else "",
        rows=rows,
        ceilings=[LabCeiling(size=one.size, predicted=one.predicted, found=one.found) for one in points],
    )


def _try(scenario: Scenario, act: Act, settings: object, number: int) -> LabRemedy:
    remedy = scenario.REMEDIES[number]
    act.tell(f"remedy {number + 1} of {len(scenario.REMEDIES)}: {remedy.command}")
    played = act.again(scenario, changed(settings, remedy.changes))
    judged = getattr(scenario, "mended", mended)
    works: bool = judged(played)
    return LabRemedy(command=remedy.command, claimed=remedy.works, works=works, text=_came_of(played))


def _control(scenario: Scenario, act: Act, settings: object) -> list[str]:
    if scenario.CONTROL is None:
        return []
    act.tell("the healthy control")
    played = act.again(scenario, changed(settings, scenario.CONTROL))
    if played.run is None or played.run.diagnosis is None:
        return []
    accused = [one.cause for one in played.run.diagnosis.suspects if one.verdict == "confirmed"]
    return accused if not failures(played) else [*accused, f"{failures(played)} failures in the control"]


def failures(played: Played) -> int:
    """Failures that a client met."""
    return played.run.client_failures if played.run else 0


def mended(played: Played) -> bool:
    """Whether nothing is wrong any more: no failure, no ghost, nothing accused."""
    run = played.run
    if run is None or run.diagnosis is None:
        return False
    return not failures(played) and not (run.ghosts and run.ghosts.count) and run.diagnosis.cause is None


def _came_of(played: Played) -> str:
    run = played.run
    if run is None:
        return ""
    parts = [f"{run.funnel.connected:,} of {run.funnel.attempted:,} connected"]
    parts += [f"{one.count:,} {one.kind.words}" for one in run.failures[:2]]
    if run.ghosts and run.ghosts.count:
        parts.append(f"{run.ghosts.count:,} ghosts")
    return ", ".join(parts)


def _row(row: Row) -> LabRow:
    return LabRow(
        what=row.what,
        predicted=_say(row.predicted),
        measured=_say(row.measured),
        agrees=_agrees(row.predicted, row.measured),
    )


def _agrees(predicted: Figure, measured: Value) -> bool:
    if isinstance(predicted, Interval):
        return isinstance(measured, int | float) and measured in predicted
    return measured is not None and predicted == measured


def _say(figure: Figure) -> str:
    if figure is None:
        return "not measured"
    if isinstance(figure, Interval):
        if figure.exact:
            return _say(figure.low)
        return f"{_say(figure.low)} or more" if figure.high is None else f"{_say(figure.low)} to {_say(figure.high)}"
    if isinstance(figure, bool):
        return "yes" if figure else "no"
    if isinstance(figure, int | float) and math.isfinite(figure):
        return f"{figure:,.0f}" if figure == int(figure) else f"{figure:,.2f}"
    return str(figure)
