"""The conformance suite passes on an engine built with ASan and UBSan, and they find nothing."""

from __future__ import annotations

import re

import pytest
from tests.engine.conftest import LongChecks


@pytest.mark.long
def test_conformance_under_sanitizers(long_checks: LongChecks) -> None:
    assert long_checks.conformance is not None
    code, said, found = long_checks.conformance.result()
    assert found == ""
    assert code == 0, said
    workers, own = (int(passed) for passed in re.findall(r"(\d+) passed", said))
    assert workers > 60
    assert own > 60
