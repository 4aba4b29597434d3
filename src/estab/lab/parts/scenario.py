"""What a scenario is: one class in a module of `estab.lab.scenarios`, whose fields are its settings.

Its module's docstring says symptom, mechanism and kernel source.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, Self

from estab import modules
from estab.errors import UsageError
from estab.kernel.rules.interval import Interval
from estab.lab.parts import settings
from estab.lab.parts.settings import Value
from estab.lab.stage.runner import Ran, Runner
from estab.lab.stage.running import Running
from estab.lab.stage.setup import Setup
from estab.records import RunResult
from estab.words import nearest

Figure = Interval | Value
Changes = Mapping[str, Value]


@dataclass(frozen=True)
class Measured:
    """What came of a scenario once: its setup, the joined and judged run, and figures by name."""

    setup: Setup
    run: RunResult
    figures: Mapping[str, Value]


@dataclass(frozen=True)
class FigureRow:
    """A figure of a further run."""

    what: str
    predicted: Figure
    measured: Value


@dataclass(frozen=True)
class SweepPoint:
    """One point of a sweep: the size that was set, and what came of it."""

    what: str
    size: int
    predicted: int
    run: RunResult

    @property
    def row(self) -> FigureRow:
        """As a figure beside others."""
        return FigureRow(self.what, self.predicted, self.run.funnel.connected)


class Measure(Protocol):
    """Runs scenarios with whatever settings; the same one once."""

    runner: Runner

    def of(self, scenario: Scenario) -> Measured:
        """What came of it."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A failure, or an experiment. What a child must say stands first; `control` are the changes that make it healthy.

    `full` are the changes that real time (`--full`) makes. `alone`: its figures are shares of CPU, so nothing may run
    beside it. `waits`: nearly all of its time is that of the kernel's timers, or of clients that come one by one, so it
    may run beside others. `no_own_server`: why no server of the user's can take the place of its own. `unmended`: why
    what works against it can't be shown here; then only what does nothing is.
    """

    cause: ClassVar[str | None]  # that the judge must name; None: nothing may be accused
    side: ClassVar[str]
    symptom: ClassVar[str]  # in the words that people paste
    seconds: ClassVar[float]  # that it takes on two cores
    control: ClassVar[Changes | None] = None
    full: ClassVar[Changes] = MappingProxyType({})
    alone: ClassVar[bool] = False
    waits: ClassVar[bool] = False
    no_own_server: ClassVar[str | None] = None
    unmended: ClassVar[str | None] = None
    sweeps: ClassVar[bool] = False

    @property
    def expected(self) -> str | None:
        """The cause that the judge must name with these settings, or None: they are as healthy as its control.

        A switch of the control makes it healthy whatever else is set; a number, or one still further from the default,
        only beside what is set by itself.
        """
        if self.control is None or not all(self._reaches(name, value) for name, value in self.control.items()):
            return self.cause
        switched = all(isinstance(value, bool | str) for value in self.control.values())
        by_default = {type(self)(**{**changes, **self.control}) for changes in ({}, self.full)}
        return None if switched or self.but(**self.control) in by_default else self.cause

    def _reaches(self, name: str, wanted: Value) -> bool:
        """Whether a setting is as the control has it; a number also where it is further from the default that way."""
        value, default = getattr(self, name), getattr(type(self)(), name)
        if isinstance(wanted, bool) or not isinstance(wanted, int | float):
            return bool(value == wanted)
        return bool((value - wanted) * (wanted - default) >= 0)

    def predict(self) -> Mapping[str, Figure]:
        """Figures by name, from `kernel/rules`, asked before anything runs."""
        raise NotImplementedError

    def setup(self) -> Setup:
        """Hosts, path, server and load."""
        raise NotImplementedError

    def look(self, _running: Running) -> Mapping[str, Value]:
        """Figures that are there only while it runs."""
        return {}

    def measure(self, _ran: Ran) -> Mapping[str, Value]:
        """Figures of the finished run, by the names of `predict`."""
        return {}

    def more(self, _measure: Measure) -> Iterator[FigureRow]:
        """Figures of further runs."""
        return iter(())

    def points(self, _measure: Measure) -> Iterator[SweepPoint]:
        """The ceiling at each size of its sweep, where it `sweeps`."""
        return iter(())

    def notes(self, *, own_server: bool) -> tuple[str, ...]:
        """Remarks on what was seen."""
        return ()

    def but(self, **changes: Any) -> Self:
        """The same with other settings."""
        return replace(self, **changes)

    @classmethod
    def only_possible(cls) -> str | None:
        """Why this kernel shows too little to confirm the cause, so that `possible` is right; None: it shows enough."""
        return None

    @classmethod
    def why_not(cls) -> str | None:
        """Why it cannot run on this machine; None where it can."""
        return None


def names() -> list[str]:
    """All scenarios, in alphabetical order."""
    from estab.lab import scenarios

    return modules.names(scenarios.__path__)


def find(name: str) -> type[Scenario]:
    """The scenario of that name. Raises UsageError with the names that there are."""
    if name not in names():
        raise UsageError(f"there is no scenario {name!r}{nearest(name, names())} (estab lab list names them all)")
    module = importlib.import_module(f"estab.lab.scenarios.{name}")
    (scenario,) = (
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Scenario) and kind.__module__ == module.__name__
    )
    return scenario


def made(name: str, changes: Changes, *, full: bool = False) -> Scenario:
    """The scenario with these settings, over those of `full`. Raises UsageError for what can't be."""
    kind = find(name)
    settings.check(kind, changes)
    return kind(**{**(kind.full if full else {}), **changes})


def compared(
    measure: Measure, label: str, scenario: Scenario, only: Sequence[str] | None = None
) -> Iterator[FigureRow]:
    """The figures (`only` those, where given) of a scenario with other settings."""
    predicted, measured = scenario.predict(), measure.of(scenario).figures
    for what in predicted if only is None else only:
        yield FigureRow(f"{label}: {what}", predicted[what], measured.get(what))
