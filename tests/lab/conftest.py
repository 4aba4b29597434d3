"""Plays every scenario once a session, four side by side, for all tests to look at: other tests run beside them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.again import attempt

from estab.lab.run.session import lab
from estab.records.lab import LabScenario


@pytest.fixture(scope="session")
def played() -> dict[str, LabScenario]:
    return {one.name: one for one in lab(["all"], gauge=False, jobs=4).scenarios}


@pytest.fixture(autouse=True)
def played_anew(request: pytest.FixtureRequest) -> None:
    """A later attempt of a test looks at its own scenario, or at all of them, as played once more."""
    if attempt(request.node) > 1 and {"played", "figures"} & set(request.fixturenames):
        callspec = getattr(request.node, "callspec", None)
        params = callspec.params if callspec is not None else {}
        wanted = str(params.get("name") or params.get("scenario") or "all")
        request.getfixturevalue("played").update({one.name: one for one in lab([wanted], gauge=False).scenarios})


@pytest.fixture
def figures(played: dict[str, LabScenario]) -> Callable[[str], dict[str, str]]:
    """What was measured in a scenario, by name."""
    return lambda name: {row.what: row.measured for row in played[name].rows}
