"""Plays the scenarios that tests look at, once a session, four side by side: other tests run beside them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.again import attempt
from tests.lab.played import Played


@pytest.fixture(scope="session")
def played(request: pytest.FixtureRequest) -> Played:
    """Those of which this session has tests."""
    wanted = {name for item in request.session.items if "played" in _fixtures(item) and (name := _scenario(item))}
    made = Played()
    made.play(sorted(wanted), jobs=4)
    return made


def _fixtures(item: pytest.Item) -> list[str]:
    return list(getattr(item, "fixturenames", ()))


def _scenario(item: pytest.Item) -> str | None:
    """The one that a test has as its parameter."""
    callspec = getattr(item, "callspec", None)
    params = callspec.params if callspec is not None else {}
    return params.get("name") or params.get("scenario")


@pytest.fixture(autouse=True)
def played_anew(request: pytest.FixtureRequest) -> None:
    """A later attempt of a test looks at its own scenario, or at all of them, as played once more."""
    if attempt(request.node) > 1 and "played" in request.fixturenames:
        again = _scenario(request.node)
        made = request.getfixturevalue("played")
        made.play([again] if again else list(made))


@pytest.fixture
def figures(played: Played) -> Callable[[str], dict[str, str]]:
    """What was measured in a scenario, by name."""
    return lambda name: {row.what: row.measured for row in played[name].rows}
