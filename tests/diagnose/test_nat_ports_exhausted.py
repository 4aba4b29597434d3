"""NAT of this host without a free port: masquerade to 11 ports, 30 connects, as Linux 6.18 counts them."""

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
        (runs.nat_without_ports(), "confirmed"),
        (runs.nat_without_ports(failed=10, dropped=10), "confirmed"),
        (runs.nat_without_ports(failed=9, dropped=9), "ruled_out"),  # two packets of one flow clash now and then
        (runs.nat_without_ports(failed=0, dropped=57), "ruled_out"),  # a full table
        (runs.nat_without_ports(dropped=None), "confirmed"),
        (runs.nat_without_ports(failed=None), "not_observed"),
        (runs.nat_without_ports(timeouts=0), "ruled_out"),
        (runs.run(), "ruled_out"),
    ],
)
def test_flows_that_find_no_port(run: RunResult, expected: str) -> None:
    assert alone("nat_ports_exhausted", run).verdict == expected


def test_neither_the_table_nor_a_firewall_is_blamed_for_it() -> None:
    said = judge(runs.nat_without_ports())
    assert said.cause == "nat_ports_exhausted"
    assert {s.cause: s.verdict for s in said.suspects}["conntrack_full_local"] == "ruled_out"
    full = judge(runs.nat_without_ports(failed=0, count=262_144))
    assert full.cause == "conntrack_full_local"


def test_two_snapshots_never_say_more_than_possible() -> None:
    run = runs.nat_without_ports()
    assert run.client.before is not None
    assert run.client.after is not None
    said = judge_snapshots(run.client.before, run.client.after.replace(taken_at_s=3.0))
    assert {s.cause: s.verdict for s in said.suspects}["nat_ports_exhausted"] == "possible"
