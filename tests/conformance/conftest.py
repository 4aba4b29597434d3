"""Every test of the conformance suite runs on both engines."""

from __future__ import annotations

import pytest
from tests.forked import ForkedWorkers

from estab.load import fleet


@pytest.fixture(params=["c", "python"], autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ESTAB_ENGINE", request.param)
    if request.param == "python":  # to import it takes as long as a short load
        monkeypatch.setattr(fleet, "subprocess", ForkedWorkers)
    return str(request.param)
