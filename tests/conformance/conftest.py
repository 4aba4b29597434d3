"""Every test of the conformance suite runs on both engines."""

from __future__ import annotations

import pytest
from tests.again import attempt
from tests.forked import ForkedWorkers

from estab.load import fleet


@pytest.fixture(params=["c", "python"], autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ESTAB_ENGINE", request.param)
    if request.param == "python":  # to import it takes as long as a short load
        monkeypatch.setattr(fleet, "subprocess", ForkedWorkers)
    return str(request.param)


@pytest.fixture(autouse=True)
def longer_when_again(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short load that was over too soon, on a busy machine, takes ten times as long at a later attempt."""
    if attempt(request.node) > 1 and hasattr(request.module, "SHORT"):
        monkeypatch.setattr(request.module, "SHORT", 10 * request.module.SHORT)
