"""The server's rp_filter drops the SYNs: figures as Linux 6.18 gives them, seen from both ends."""

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
        (runs.reverse_path(), "confirmed"),
        (runs.reverse_path(dropped=21), "confirmed"),
        (runs.reverse_path(dropped=20), "possible"),  # half of the SYNs: others were lost elsewhere
        (runs.reverse_path(dropped=0), "ruled_out"),
        (runs.reverse_path(dropped=None), "not_observed"),
        (runs.reverse_path().replace(server=runs.remote()), "not_observed"),
        # Some other packets were dropped; the listener's own end shows the SYNs.
        (runs.stalled(server=runs.local(deltas=runs.deltas(IPReversePathFilter=900))), "ruled_out"),
        (runs.run(server=runs.local(deltas=runs.deltas(IPReversePathFilter=900))), "ruled_out"),
        (runs.run(), "ruled_out"),
    ],
)
def test_packets_dropped_by_their_reverse_path(run: RunResult, expected: str) -> None:
    assert alone("reverse_path_filtered", run).verdict == expected


def test_no_filter_is_blamed_for_it() -> None:
    said = judge(runs.reverse_path())
    assert (said.cause, said.side) == ("reverse_path_filtered", "server")
    verdicts = {s.cause: s.verdict for s in said.suspects}
    assert (verdicts["path_filtered"], verdicts["no_route_back"]) == ("possible", "ruled_out")
    assert judge(runs.reverse_path(dropped=0)).cause == "path_filtered"


@pytest.mark.parametrize(("dropped", "expected"), [(2, "ruled_out"), (3, "possible")])
def test_two_snapshots_show_that_it_drops(dropped: int, expected: str) -> None:
    before = runs.snapshot(counters=runs.COUNTERS)
    counted = {**runs.COUNTERS, "TcpExt.IPReversePathFilter": runs.COUNTERS["TcpExt.IPReversePathFilter"] + dropped}
    said = judge_snapshots(before, before.replace(taken_at_s=3.0, counters=counted))
    assert {s.cause: s.verdict for s in said.suspects}["reverse_path_filtered"] == expected
