from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.records import RunResult


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.clamped(129), "confirmed"),
        (runs.clamped(128), "ruled_out"),
        (runs.clamped(127), "ruled_out"),
        (runs.clamped(-1), "confirmed"),  # unsigned in the kernel: huge
        (runs.clamped(None), "confirmed"),  # the limit is exactly somaxconn
        (runs.overflowed(), "ruled_out"),  # below somaxconn: the program's own
        (runs.run(config={"backlog_asked": 1024}), "ruled_out"),  # cut, but never full
        (runs.clamped(1024, server=runs.remote()), "not_observed"),
    ],
)
def test_a_backlog_that_was_cut(run: RunResult, expected: str) -> None:
    assert alone("backlog_clamped", run).verdict == expected


def test_the_clamp_is_no_reason_where_clients_outrun_accept() -> None:
    timeline = [
        runs.point(t / 10, attempted=100 * t, connected=20 * t, accepted=20 * t, queue_depth=129, queue_limit=128)
        for t in range(31)
    ]
    assert alone("backlog_clamped", runs.clamped(timeline=timeline).replace(command="churn")).verdict == "possible"


def test_a_healthy_run_does_not_accuse_it() -> None:
    assert alone("backlog_clamped", runs.run()).verdict == "ruled_out"
