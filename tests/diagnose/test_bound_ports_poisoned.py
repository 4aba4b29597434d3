from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone
from tests.diagnose.local_ports import with_ports

from estab.records import RunResult


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.poisoned(), "confirmed"),
        (runs.run(), "ruled_out"),
        (with_ports(None, bound=50, used=50, worst_source_used=50), "confirmed"),
        (with_ports(None, bound=49, used=51, worst_source_used=51), "ruled_out"),
        (with_ports(None, bound=50, used=44, worst_source_used=44), "possible"),  # the rest was not seen full
        (with_ports(None, bound=90, used=0, worst_source_used=0), "confirmed"),
        (with_ports(None, bound=100, used=0, worst_source_used=0), "confirmed"),
        # What was asked for would have fitted, were it not for bind().
        (with_ports(95, bound=10, used=90, worst_source_used=90), "confirmed"),
        (with_ports(90, bound=10, used=90, worst_source_used=90), "ruled_out"),
        (with_ports(101, bound=10, used=90, worst_source_used=90), "ruled_out"),
        (with_ports(95, bound=9, used=91, worst_source_used=91), "ruled_out"),
        # A listener's own port in a range of ten is no poison.
        (with_ports(10, capacity=10, bound=1, used=9, worst_source_used=9), "ruled_out"),
        (with_ports(None, bound=None, used=100), "ruled_out"),
        (with_ports(None, bound=None, used=10, worst_source_used=10), "possible"),
        (with_ports(None, capacity=None), "not_observed"),
    ],
)
def test_ports_that_bind_owns(run: RunResult, expected: str) -> None:
    assert alone("bound_ports_poisoned", run).verdict == expected
