"""A few seconds of what benchmarks/soak.py does for minutes, and the arithmetic by which it judges."""

from __future__ import annotations

import os

import pytest
from benchmarks import soak, space
from tests.engine import build


def looks(*rss_kib: int, fds: int = 10) -> list[soak.Look]:
    return [soak.Look(float(i), kib, fds) for i, kib in enumerate(rss_kib)]


def test_growth_is_from_the_second_fifth_to_the_last() -> None:
    found = soak.growth("one", looks(1, 1, 50, 52, 60, 60, 70, 70, 90, 94))
    assert found == soak.Growth("one", (51, 92), (10, 10))
    assert found.is_within(41)
    assert not found.is_within(40)


def test_descriptors_that_grow_are_told() -> None:
    grown = soak.growth("one", [*looks(5, 5, 5, 5), soak.Look(4.0, 5, 19)])
    assert not grown.is_within(1000)


def test_too_few_looks_are_no_answer() -> None:
    with pytest.raises(space.MeasureError, match="seen 4 times only"):
        soak.growth("one", looks(1, 2, 3, 4))


def test_what_the_kernel_counted_otherwise_differs() -> None:
    record = {
        "failures": [{"phase": "connect", "count": 2}, {"phase": "read", "count": 3}],
        "funnel": {"attempted": 12, "connected": 10, "accepted": 10, "completed": 7},
        "timeline": [{"open": 5}, {"open": 0}],
    }
    kernel = {"ActiveOpens": 12, "PassiveOpens": 10, "AttemptFails": 2, "EstabResets": 3, "CurrEstab": 0}
    assert all(ours == theirs for ours, theirs in soak.drift(record, kernel).values())
    other = soak.drift(record, kernel | {"PassiveOpens": 9})
    assert [name for name, (ours, theirs) in other.items() if ours != theirs] == ["connections accepted (PassiveOpens)"]


@pytest.mark.namespace
def test_seconds_of_it() -> None:
    done = build.run(
        ["-m", "benchmarks.soak", "--minutes", "0.08", "--connections", "300"], dict(os.environ), timeout_s=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "GREW" not in done.stdout
    assert "DIFFER" not in done.stdout
    assert done.stdout.count("RSS") >= 4
