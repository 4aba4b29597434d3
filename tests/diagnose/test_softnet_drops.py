"""Receive queues of the machine that are full. Made: they serve all namespaces, so none can be filled apart."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone
from tests.diagnose.lost_syns import TURNED_AWAY

from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.records import Nic, RunResult, Softnet


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.dropped_on_arrival(), "confirmed"),
        (runs.dropped_on_arrival(machine=11, own=11), "confirmed"),
        (runs.dropped_on_arrival(own=6, other_end=6), "confirmed"),
        (runs.dropped_on_arrival(own=10), "possible"),  # the machine's, but not at these interfaces
        (runs.dropped_on_arrival(own=0), "possible"),
        (runs.dropped_on_arrival(machine=10, own=10), "ruled_out"),
        (runs.dropped_on_arrival(machine=0, own=80), "ruled_out"),  # the interface drops for another reason
        (runs.dropped_on_arrival(machine=None), "not_observed"),
        (runs.dropped_on_arrival(machine=0, server=runs.remote()), "not_observed"),
        (runs.dropped_on_arrival(own=0, other_end=80, server=runs.remote()), "confirmed"),
        (runs.dropped_on_arrival(timeouts=0), "ruled_out"),
        (runs.dropped_on_arrival(machine=2, own=2, timeouts=1), "possible"),
        (runs.refused(), "ruled_out"),
        (runs.run(), "ruled_out"),
    ],
)
def test_packets_that_are_dropped_as_they_arrive(run: RunResult, expected: str) -> None:
    assert alone("softnet_drops", run).verdict == expected


def test_a_full_listener_beside_it_is_the_cause() -> None:
    seen = runs.dropped_on_arrival().server
    turned_away = TURNED_AWAY.replace(before=seen.before, after=seen.after)
    assert alone("softnet_drops", runs.dropped_on_arrival(server=turned_away)).verdict == "possible"


def test_a_neighbours_drops_are_not_charged_to_a_filter_on_the_path() -> None:
    busy = runs.dropped_on_arrival(own=0)
    run = runs.dropped(client={"before": busy.client.before, "after": busy.client.after, **runs.sent_again(800)})
    assert judge(run).cause == "path_filtered"
    assert judge(runs.dropped_on_arrival()).cause == "softnet_drops"


@pytest.mark.parametrize(
    ("machine", "own", "again", "expected"),
    [
        (90, 80, 40, "possible"),
        (90, 2, 40, "ruled_out"),
        (90, 80, 2, "ruled_out"),
        (2, 2, 40, "ruled_out"),
    ],
)
def test_two_snapshots_never_say_more_than_possible(machine: int, own: int, again: int, expected: str) -> None:
    before = runs.snapshot(
        softnet=Softnet(dropped=5, squeezed=0), nics=[Nic(name="lo", rx_dropped=1)], counters=runs.COUNTERS
    )
    after = before.replace(
        taken_at_s=3.0,
        softnet=Softnet(dropped=5 + machine, squeezed=9),
        nics=[Nic(name="lo", rx_dropped=1 + own), Nic(name="new", rx_dropped=900)],
        counters={**runs.COUNTERS, "Tcp.RetransSegs": runs.COUNTERS["Tcp.RetransSegs"] + again},
    )
    said = judge_snapshots(before, after)
    assert {s.cause: s.verdict for s in said.suspects}["softnet_drops"] == expected
    assert said.cause is None
