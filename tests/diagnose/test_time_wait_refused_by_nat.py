"""The server's TIME_WAIT refuses clients behind a NAT: figures as Linux 6.18 gives them, seen from both ends."""

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
        (runs.refused_by_time_wait(), "confirmed"),
        (runs.refused_by_time_wait(refused=15), "confirmed"),
        (runs.refused_by_time_wait(refused=14), "possible"),  # half of the SYNs without an answer
        (runs.refused_by_time_wait(refused=3, again=0, timeouts=3), "confirmed"),
        (runs.refused_by_time_wait(refused=2, again=0, timeouts=2), "possible"),
        (runs.refused_by_time_wait(refused=0), "ruled_out"),
        (runs.refused_by_time_wait(refused=None), "not_observed"),
        (runs.refused_by_time_wait(counter="PAWSEstab"), "confirmed"),  # as kernels before 6.14 count it
        (runs.refused_by_time_wait(timeouts=0, again=9, late=9), "confirmed"),
        (runs.refused_by_time_wait(timeouts=0, again=0), "ruled_out"),
        (runs.refused_by_time_wait().replace(server=runs.remote()), "not_observed"),
        (runs.run(), "ruled_out"),
    ],
)
def test_syns_that_time_wait_refused(run: RunResult, expected: str) -> None:
    assert alone("time_wait_refused_by_nat", run).verdict == expected


def test_no_loss_is_blamed_for_it() -> None:
    said = judge(runs.refused_by_time_wait(late=8))
    assert (said.cause, said.side) == ("time_wait_refused_by_nat", "path")
    assert {s.cause: s.verdict for s in said.suspects}["path_syn_loss"] == "possible"
    assert judge(runs.refused_by_time_wait(refused=0, late=8)).cause == "path_syn_loss"


@pytest.mark.parametrize(
    ("name", "by", "expected"),
    [("PAWSTimewait", 2, "ruled_out"), ("PAWSTimewait", 3, "possible"), ("PAWSEstab", 9, "ruled_out")],
)
def test_two_snapshots_show_that_it_refuses(name: str, by: int, expected: str) -> None:
    before = runs.snapshot(counters=runs.COUNTERS)
    moved = f"TcpExt.{name}"
    after = before.replace(taken_at_s=3.0, counters={**runs.COUNTERS, moved: runs.COUNTERS[moved] + by})
    verdicts = {s.cause: s.verdict for s in judge_snapshots(before, after).suspects}
    assert verdicts["time_wait_refused_by_nat"] == expected
