"""Captured bytes for the parser tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def captured() -> Callable[[str], bytes]:
    """The captured file of this name from 6.18."""
    return lambda name: (DATA / "6.18" / name).read_bytes()
