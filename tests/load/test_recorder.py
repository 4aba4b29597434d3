"""A long timeline loses points, not what only some of them have."""

from __future__ import annotations

from estab.api.points import _keep_rare as keep_rare
from estab.records import TimelinePoint


def point(t_s: float, **more: object) -> TimelinePoint:
    return TimelinePoint(
        t_s=t_s, attempted=0, connected=0, first_byte=0, completed=0, failed=0, open=0, requests=0, **more
    )


def test_what_is_rare_moves_to_the_point_that_stays() -> None:
    kept = keep_rare(point(1, queue_depth=3), point(2, queue_depth=4, server_states={"ESTAB": 2}))
    assert (kept.t_s, kept.queue_depth, kept.server_states) == (1, 3, {"ESTAB": 2})
    assert keep_rare(point(1, failures={"connect EMFILE": 1}), point(2, failures={})).failures == {"connect EMFILE": 1}
