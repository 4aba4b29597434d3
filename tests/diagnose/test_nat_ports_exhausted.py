"""NAT of this host without a free port: masquerade to 11 ports, 30 connects, as Linux 6.18 counts them."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.records import Conntrack, RunResult


def masqueraded(failed: int | None = 57, dropped: int | None = 57, timeouts: int = 19, count: int = 11) -> RunResult:
    def tracked(**counted: int | None) -> Conntrack:
        return Conntrack(count=count, maximum=262_144, early_drop=0, **counted)

    before = runs.snapshot(conntrack=tracked(drop=dropped and 0, insert_failed=failed and 0))
    after = runs.snapshot(conntrack=tracked(drop=dropped, insert_failed=failed))
    return runs.run(
        funnel=runs.funnel(30, 11),
        failures=[runs.failure("connect", "own_timeout", timeouts)] if timeouts else [],
        syn_retransmits={"0": 11, "2": timeouts},
        server=runs.remote(),
        # The host itself drops the packet, so sending it again fails as well.
        client={"before": before, "after": after, "deltas": runs.deltas(TCPRetransFail=38, TCPSynRetrans=38)},
    )


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (masqueraded(), "confirmed"),
        (masqueraded(failed=10, dropped=10), "confirmed"),
        (masqueraded(failed=9, dropped=9), "ruled_out"),  # two packets of one flow clash now and then
        (masqueraded(failed=0, dropped=57), "ruled_out"),  # a full table
        (masqueraded(dropped=None), "confirmed"),
        (masqueraded(failed=None), "not_observed"),
        (masqueraded(timeouts=0), "ruled_out"),
        (runs.run(), "ruled_out"),
    ],
)
def test_flows_that_find_no_port(run: RunResult, expected: str) -> None:
    assert alone("nat_ports_exhausted", run).verdict == expected


def test_neither_the_table_nor_a_firewall_is_blamed_for_it() -> None:
    said = judge(masqueraded())
    assert said.cause == "nat_ports_exhausted"
    assert {s.cause: s.verdict for s in said.suspects}["conntrack_full_local"] == "ruled_out"
    full = judge(masqueraded(failed=0, count=262_144))
    assert full.cause == "conntrack_full_local"


def test_two_snapshots_never_say_more_than_possible() -> None:
    run = masqueraded()
    assert run.client.before is not None
    assert run.client.after is not None
    said = judge_snapshots(run.client.before, run.client.after.replace(taken_at_s=3.0))
    assert {s.cause: s.verdict for s in said.suspects}["nat_ports_exhausted"] == "possible"
