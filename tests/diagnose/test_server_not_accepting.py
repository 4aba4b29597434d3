from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.records import TimelinePoint


def queue(worst_depth: int, *, rose_only: bool = True, accepted: int | None = 0) -> dict[str, object]:
    watch = runs.watch(
        worst_depth=worst_depth,
        last_depth=worst_depth,
        rose_only=rose_only,
        queued_at_end=worst_depth,
        accepted_at_end=accepted,
    )
    return {"funnel": runs.funnel(400, 129, accepted=accepted), "server": runs.local(watch)}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (queue(129), "confirmed"),
        (queue(128), "confirmed"),  # it need not be full: 100 that nobody accepts are enough
        (queue(1), "confirmed"),
        (queue(0), "ruled_out"),
        (queue(129, rose_only=False), "ruled_out"),
        (queue(129, accepted=1), "ruled_out"),
        (queue(129, accepted=None), "possible"),
        (queue(128, accepted=None), "not_observed"),
    ],
)
def test_a_queue_that_only_rose_and_nobody_accepted(fields: dict[str, object], expected: str) -> None:
    assert alone("server_not_accepting", runs.run(**fields)).verdict == expected


def test_an_answer_proves_an_accept_that_the_end_census_missed() -> None:
    fields = queue(17)
    assert (
        alone(
            "server_not_accepting", runs.run(**{**fields, "funnel": runs.funnel(400, 129, accepted=0, first_byte=3)})
        ).verdict
        == "ruled_out"
    )


def stopped(gap_s: float, accepted_until_s: float = 1.0, until_s: float = 3.0) -> list[TimelinePoint]:
    """One accept every `gap_s` until `accepted_until_s`; connections wait from then on."""
    points = []
    for tenth in range(int(until_s * 10) + 1):
        t = tenth / 10
        accepted = int(min(t, accepted_until_s) / gap_s + 1e-9)
        points.append(runs.point(t, attempted=400, connected=200, accepted=accepted, queue_depth=5 + tenth))
    return points


@pytest.mark.parametrize(
    ("timeline", "expected"),
    [
        (stopped(0.1), "confirmed"),
        (stopped(0.1, accepted_until_s=2.5), "ruled_out"),  # half a second of silence is no silence
        (stopped(0.5, accepted_until_s=3.0), "ruled_out"),  # slow, but it accepts
        (stopped(1.0, accepted_until_s=2.0, until_s=4.5), "ruled_out"),  # 2.5 s: not three times its pause
        (stopped(1.0, accepted_until_s=2.0, until_s=5.5), "confirmed"),
    ],
)
def test_a_server_that_accepted_and_then_stopped(timeline: list[TimelinePoint], expected: str) -> None:
    fields = queue(35, accepted=10)
    assert alone("server_not_accepting", runs.run(**fields, timeline=timeline)).verdict == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"funnel": runs.funnel(first_byte=400)}, "ruled_out"),
        ({"funnel": runs.funnel(first_byte=399)}, "not_observed"),
        ({}, "not_observed"),
        ({"failures": [runs.failure("read", "own_timeout", 400)]}, "possible"),
        ({"failures": [runs.failure("read", "ECONNRESET", 400)]}, "not_observed"),
    ],
)
def test_from_the_client_alone(fields: dict[str, object], expected: str) -> None:
    assert alone("server_not_accepting", runs.run(server=runs.remote(), **fields)).verdict == expected


def test_remedies_name_the_process_and_what_does_nothing() -> None:
    found = alone("server_not_accepting", runs.stalled()).remedies
    assert any("-p 4321" in r.command for r in found if r.works)
    assert any("backlog" in r.command for r in found if not r.works)


def test_a_healthy_run_does_not_accuse_it() -> None:
    assert alone("server_not_accepting", runs.run()).verdict == "ruled_out"
