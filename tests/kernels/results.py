"""What came of the runs: by kernel, by rule and by scenario; kept in a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

KEPT = Path(__file__).with_name("measured.json")

Mark = Literal["as_predicted", "differs", "cannot_run"]


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of one rule or scenario: `why` is the first thing that differs, or why it can't run.

    `tests`: how many looked at the rule. `attempts` above 1: it differed, and was as predicted when played again.
    """

    mark: Mark
    why: str = ""
    tests: int = 0
    attempts: int = 1


class KernelRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """One kernel. `release` and `build` are those of uname, `hz` the timer's ticks a second; `package` is Debian's.

    `why`: it could not be had, or did not start; then all else is empty. `rules` by number, `scenarios` by name.
    """

    name: str
    package: str
    version: str = ""
    release: str = ""
    build: str = ""
    hz: int = 0
    rules: dict[str, Outcome] = {}
    scenarios: dict[str, Outcome] = {}
    why: str = ""


def read(path: Path = KEPT) -> list[KernelRun]:
    """The runs that are kept, the oldest kernel first."""
    return msgspec.json.decode(path.read_bytes(), type=list[KernelRun]) if path.exists() else []


def write(runs: Iterable[KernelRun], path: Path = KEPT) -> None:
    """Keep them."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(sorted(runs, key=_age)), indent=1) + b"\n")


def merged(kept: Iterable[KernelRun], new: Iterable[KernelRun]) -> list[KernelRun]:
    """The kept runs with what is new: a rule or scenario that was not run again stays, of the same build.

    A kernel that could not be had, or did not start, changes nothing.
    """
    by_name = {run.name: run for run in kept}
    for run in new:
        before = by_name.get(run.name)
        if not run.version:
            continue
        if before is not None and before.build == run.build:
            rules, scenarios = {**before.rules, **run.rules}, {**before.scenarios, **run.scenarios}
            by_name[run.name] = msgspec.structs.replace(run, rules=rules, scenarios=scenarios)
        else:
            by_name[run.name] = run
    return list(by_name.values())


def as_predicted(runs: Iterable[KernelRun]) -> bool:
    """Whether every kernel was had, and nothing differs."""
    return all(not run.why and all(o.mark != "differs" for o in outcomes(run)) for run in runs)


def outcomes(run: KernelRun) -> list[Outcome]:
    """Those of its rules and of its scenarios."""
    return [*run.rules.values(), *run.scenarios.values()]


def _age(run: KernelRun) -> tuple[list[int], str]:
    return [int(number) for number in run.version.split(".") if number.isdigit()], run.name
