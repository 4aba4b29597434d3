"""The server has no route to the client: figures as Linux 6.18 gives them, seen from both ends."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.records import RunResult


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.without_route_back(), "confirmed"),
        (runs.without_route_back(routes=21), "confirmed"),
        (runs.without_route_back(routes=20), "possible"),
        (runs.without_route_back(routes=0), "ruled_out"),
        (runs.without_route_back(drops=0, own=0), "ruled_out"),  # what had no route was something else
        (runs.without_route_back().replace(server=runs.remote()), "not_observed"),
        (runs.run(), "ruled_out"),
    ],
)
def test_answers_without_a_route(run: RunResult, expected: str) -> None:
    assert alone("no_route_back", run).verdict == expected


@pytest.mark.parametrize("cookies", [0, 1])
def test_neither_queue_is_blamed_for_it(cookies: int) -> None:
    said = judge(runs.without_route_back(cookies=cookies))
    assert said.cause == "no_route_back"
    verdicts = {s.cause: s.verdict for s in said.suspects}
    assert verdicts["syn_queue_overflow"] == verdicts["accept_queue_overflow"] == "ruled_out"


def test_two_snapshots_show_it() -> None:
    before = runs.snapshot(counters=runs.COUNTERS)
    moved = ("Ip.OutNoRoutes", "TcpExt.ListenDrops")
    after = before.replace(taken_at_s=3.0, counters={n: v + 9 * (n in moved) for n, v in runs.COUNTERS.items()})
    assert judge_snapshots(before, after).cause == "no_route_back"
    assert alone("no_route_back", runs.without_route_back()).remedies[0].works
