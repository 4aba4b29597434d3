"""Neighbours that find no place. Made: the table is the whole machine's, so it can't be filled in a namespace."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.records import NeighbourTable, RunResult, Security


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.without_place(), "confirmed"),
        (runs.without_place(name="ndisc_cache"), "confirmed"),
        (runs.without_place(11, 11), "confirmed"),
        (runs.without_place(10), "ruled_out"),
        (runs.without_place(0), "ruled_out"),
        (runs.without_place(not_sent=10), "ruled_out"),  # a neighbour's: the SYNs of this namespace left
        (runs.without_place(not_sent=None), "possible"),
        (runs.without_place(rules=True), "possible"),  # its own rules may have dropped them
        (runs.without_place(rules=None), "possible"),
        (runs.without_place(rules=True, reasons={"NEIGH_CREATEFAIL": 60}), "confirmed"),
        (runs.without_place(rules=True, reasons={"NETFILTER_DROP": 60}), "possible"),
        (runs.without_place(None), "not_observed"),
        (runs.without_place(timeouts=0), "ruled_out"),
        (runs.neighbour_absent(), "not_observed"),
        (runs.run(), "ruled_out"),
        (runs.refused(), "ruled_out"),
    ],
)
def test_neighbours_without_a_place(run: RunResult, expected: str) -> None:
    assert alone("neighbour_table_full", run).verdict == expected


def test_neither_is_named_where_its_own_rules_may_have_dropped_them() -> None:
    said = judge(runs.without_place(rules=True))
    assert said.cause is None
    assert {s.cause for s in said.suspects if s.verdict == "possible"} >= {"neighbour_table_full", "own_firewall"}
    assert judge(runs.without_place(0, rules=True)).cause == "own_firewall"


def test_an_absent_neighbour_looks_alike_and_is_another_cause() -> None:
    assert judge(runs.neighbour_absent()).cause == "neighbour_unresolved"
    named = judge(runs.without_place())
    assert named.cause == "neighbour_table_full"
    assert {s.cause: s.verdict for s in named.suspects}["neighbour_unresolved"] == "ruled_out"


def table(entries: int, fulls: int | None) -> NeighbourTable:
    return NeighbourTable(name="arp_cache", entries=entries, maximum=1024, table_fulls=fulls)


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        (table(1024, 5), table(1024, 8), "confirmed"),
        (table(1024, 5), table(1024, 7), "possible"),
        (table(9, 5), table(1024, 5), "possible"),
        (table(9, 5), table(1023, 5), "ruled_out"),
        (None, table(1024, 500), "possible"),
        (None, table(9, 500), "ruled_out"),
        (table(9, None), table(9, None), "ruled_out"),
        (None, None, "not_observed"),
    ],
)
def test_a_host_without_a_run(then: NeighbourTable | None, now: NeighbourTable | None, expected: str) -> None:
    quiet = Security(nft_rules=False, iptables_rules=False)
    before = runs.snapshot(neighbours=None if then is None else [then], security=quiet)
    after = before.replace(taken_at_s=3.0, neighbours=None if now is None else [now])
    said = judge_snapshots(before, after)
    assert {s.cause: s.verdict for s in said.suspects}["neighbour_table_full"] == expected
