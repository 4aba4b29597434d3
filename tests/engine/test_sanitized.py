"""The conformance suite passes on an engine built with ASan and UBSan, and they find nothing."""

from __future__ import annotations

import re

from tests.engine import sanitized


def test_conformance_under_sanitizers() -> None:
    code, said, found = sanitized.conformance(["-k", "not python"])
    assert found == ""
    assert code == 0, said
    passed = re.search(r"(\d+) passed", said)
    assert passed is not None
    assert int(passed[1]) > 60
