"""Scenarios that are played once, for all tests to look at, and which of them are quick."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from estab.lab.parts.scenario import find
from estab.lab.run.session import lab
from estab.records.lab import LabScenario

_QUICK_S = 5.0  # what a scenario may take to be played by `make test`; `make test-long` plays the others


def each_scenario(names: Iterable[str]) -> list[object]:
    """Parameters of a test of these scenarios."""
    return [name if find(name).seconds <= _QUICK_S else pytest.param(name, marks=pytest.mark.long) for name in names]


class Played(dict[str, LabScenario]):
    """Scenarios as played, by name; one that was not is played when it is looked at."""

    def __missing__(self, name: str) -> LabScenario:
        self.play([name])
        return self[name]

    def play(self, names: list[str], jobs: int | None = None) -> None:
        """Plays them, `jobs` side by side."""
        self.update({scenario.name: scenario for scenario in lab(names, gauge=False, jobs=jobs).scenarios})
