"""An address of the own subnet that nobody has: figures as Linux 6.18 gives them."""

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
        (runs.neighbour_absent(), "confirmed"),
        (runs.neighbour_absent("EHOSTUNREACH"), "confirmed"),
        (runs.neighbour_absent(held_back=11), "confirmed"),
        (runs.neighbour_absent(held_back=10), "ruled_out"),
        (runs.neighbour_absent(held_back=10, again=30), "ruled_out"),  # the SYNs left: somebody else does not answer
        (
            runs.neighbour_absent("EHOSTUNREACH", held_back=0),
            "possible",
        ),  # known as absent from an earlier try: refused at once
        (runs.neighbour_absent("EHOSTUNREACH", held_back=0, icmp=0), "ruled_out"),
        (runs.neighbour_absent().replace(client=runs.run().client.replace(deltas=None)), "not_observed"),
        (runs.run(), "ruled_out"),
    ],
)
def test_syns_that_never_left_for_want_of_a_neighbour(run: RunResult, expected: str) -> None:
    assert alone("neighbour_unresolved", run).verdict == expected


@pytest.mark.parametrize("errno", ["own_timeout", "EHOSTUNREACH"])
def test_no_filter_is_blamed_for_it(errno: str) -> None:
    said = judge(runs.neighbour_absent(errno))
    assert said.cause == "neighbour_unresolved"
    assert "no SYN left this host" in said.summary


def test_two_snapshots_never_say_more_than_possible() -> None:
    before = runs.snapshot(counters=runs.COUNTERS)
    moved = ("Icmp.InDestUnreachs", "Icmp.OutDestUnreachs", "TcpExt.TCPSpuriousRtxHostQueues")
    after = before.replace(taken_at_s=3.0, counters={n: v + 6 * (n in moved) for n, v in runs.COUNTERS.items()})
    said = {s.cause: s.verdict for s in judge_snapshots(before, after).suspects}
    assert said["neighbour_unresolved"] == "possible"
    assert said["own_firewall"] == "ruled_out"


@pytest.mark.parametrize(
    ("again", "waiting", "expected"), [(0, 5, "possible"), (6, 5, "ruled_out"), (0, 0, "ruled_out")]
)
def test_between_two_errors_the_connects_that_wait_tell(again: int, waiting: int, expected: str) -> None:
    before = runs.snapshot(counters=runs.COUNTERS, states={"SYN-SENT": waiting})
    moved = {"TcpExt.TCPSpuriousRtxHostQueues": 6, "TcpExt.TCPSynRetrans": again}
    counters = {name: value + moved.get(name, 0) for name, value in runs.COUNTERS.items()}
    said = judge_snapshots(before, before.replace(taken_at_s=3.0, counters=counters))
    assert {s.cause: s.verdict for s in said.suspects}["neighbour_unresolved"] == expected
