"""Plays every scenario once a session, three side by side (most of their time is waiting), for all tests to look at."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from estab.lab.run import lab
from estab.lab.scenario import find, names
from estab.records.lab import LabScenario

# Played alone, before the others: its figures are shares of CPU.
ALONE = ("accept_thread_starved", "short_connection_storm")


@pytest.fixture(scope="session")
def played() -> dict[str, LabScenario]:
    def play(wanted: list[str]) -> list[LabScenario]:
        return lab(wanted, gauge=False).scenarios if wanted else []

    first = play(list(ALONE))
    rest = sorted((name for name in names() if name not in ALONE), key=lambda name: -find(name).SECONDS)
    with ThreadPoolExecutor(3) as pool:
        shares = list(pool.map(play, [rest[number::3] for number in range(3)]))
    return {one.name: one for share in (first, *shares) for one in share}


@pytest.fixture
def figures(played: dict[str, LabScenario]) -> Callable[[str], dict[str, str]]:
    """What was measured in a scenario, by name."""
    return lambda name: {row.what: row.measured for row in played[name].rows}
