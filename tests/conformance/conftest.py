"""Every test of the conformance suite runs on both engines."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["c", "python"], autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ESTAB_ENGINE", request.param)
    return str(request.param)
