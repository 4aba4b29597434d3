"""What a look of the exporter is judged against, and that asking often does not fill the memory."""

from __future__ import annotations

import pytest
from tests.diagnose import runs

from estab.api.exporter.history import History
from estab.records import Snapshot


def at(seconds: float) -> Snapshot:
    return runs.snapshot().replace(taken_at_s=seconds)


def base_of(history: History, at_s: float, peaks: dict[int, int] | None = None) -> float | None:
    found = history.add(at_s, at(at_s), peaks or {})
    return None if found is None else found.taken_at_s


def test_the_newest_that_is_a_window_old_is_the_base_else_the_oldest() -> None:
    history = History(15.0)
    assert [base_of(history, at_s) for at_s in (0.0, 10.0, 14.0, 25.0, 29.0, 100.0)] == [
        None,
        0.0,
        0.0,
        10.0,
        14.0,
        29.0,
    ]


def test_a_peak_shows_for_the_window_and_not_for_ever() -> None:
    history = History(10.0)
    for at_s, peaks in ((0.0, {7: 99}), (5.0, {7: 40}), (9.0, {7: 2})):
        history.add(at_s, at(at_s), peaks)
    assert history.worst(7) == 40, "what was before the base does not count"
    for at_s in (14.0, 20.0):
        history.add(at_s, at(at_s), {7: 1})
    assert (history.worst(7), history.worst(8)) == (1, 0)


@pytest.mark.parametrize("window_s", [15.0, 3600.0])
def test_who_asks_often_fills_no_memory_and_loses_nothing(window_s: float) -> None:
    history = History(window_s)
    step_s = window_s / 6_000
    for n in range(20_000):
        base = history.add(n * step_s, at(n * step_s), {7: 500 if n == 17_000 else 1})
        assert len(history) <= 130
        if base is not None and n > 6_200:
            age_s = n * step_s - base.taken_at_s
            assert window_s <= age_s + 1e-6 <= window_s * 1.05
    assert history.worst(7) == 500
