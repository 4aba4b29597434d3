"""A timeline that had to leave out points still ends with the end."""

from __future__ import annotations

import pytest

import estab
from estab.api import points


@pytest.mark.parametrize("duration_s", [0.75, 0.85, 0.95, 1.05])
def test_the_last_point_is_what_the_run_came_to(duration_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "MOST_POINTS", 4)
    run = estab.hold(connections=5, duration_s=duration_s)
    last = run.timeline[-1]
    assert len(run.timeline) <= 5
    assert (last.open, last.completed, last.failed) == (0, 5, 0)
    assert [point.t_s for point in run.timeline] == sorted(point.t_s for point in run.timeline)
