"""The three suspects on the path and this host's own tracking table: what tells them apart, and from a full queue."""

from __future__ import annotations

from typing import Any

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.records import DropReasons, Nic, RunResult, Security

ETIMEDOUT = [runs.failure("connect", "ETIMEDOUT", 150)]
TURNED_AWAY = runs.local(runs.watch(drops=300), deltas=runs.deltas(ListenOverflows=300, ListenDrops=300))


def lost(timeouts: int, connected: int = 250, **fields: Any) -> RunResult:
    values: dict[str, Any] = {
        "funnel": runs.funnel(connected + timeouts, connected),
        "failures": [runs.failure("connect", "own_timeout", timeouts)] if timeouts else [],
        "client": runs.sent_again(2 * timeouts),
        "server": runs.untouched(connected),
    }
    return runs.table_full(**{**values, **fields})


def impatient(after_first_failure: int, then: int = 250, final: int = 250) -> dict[str, Any]:
    """A timeout of 0.5 s sees no retransmission: the timeline alone tells whether success ended with the first loss."""
    points = [
        runs.point(0.5, attempted=400 - after_first_failure, connected=then),
        runs.point(0.6, attempted=400 - after_first_failure, connected=then, failed=1),
        runs.point(3.0, attempted=400, connected=final, failed=150),
    ]
    client = runs.sent_again(0)
    return {"config": {"timeout_s": 0.5}, "timeline": points, "client": client}


# path_flow_table_full ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (lost(0), "ruled_out"),
        (lost(1), "possible"),
        (lost(2), "possible"),
        (lost(3), "confirmed"),
        (lost(150), "confirmed"),
        (lost(150, failures=ETIMEDOUT, client={}), "confirmed"),  # the kernel's own word: no SYN was answered
        # From the first on: a filter, or a table that was full before.
        (lost(150, connected=0), "not_observed"),
        # One in ten may slip through where a flow ended; more is chance.
        (lost(150, syn_retransmits={"0": 235, "1": 15}), "confirmed"),
        (lost(150, syn_retransmits={"0": 234, "1": 16}), "ruled_out"),
        # They arrived: the listener dropped them, or opened the connections.
        (lost(150, server=TURNED_AWAY), "ruled_out"),
        (lost(150, server=runs.untouched(325)), "ruled_out"),
        (lost(150, server=runs.untouched(324)), "confirmed"),
        # Nobody sent a SYN again: they had been answered, and our own timeout ended them for another reason.
        (lost(150, client=runs.sent_again(74)), "ruled_out"),
        (lost(150, client=runs.sent_again(75)), "confirmed"),
        (lost(150, client={}), "possible"),
        # Short patience: by the timeline.
        (lost(150, **impatient(100)), "confirmed"),
        (lost(150, **impatient(2)), "possible"),
        (lost(150, **impatient(100, then=200)), "ruled_out"),
        # The other end was not seen.
        (lost(150, server=runs.remote()), "possible"),
        (lost(150, server=runs.remote(), client=runs.sent_again(0)), "ruled_out"),
    ],
)
def test_a_table_that_fills(run: RunResult, expected: str) -> None:
    assert alone("path_flow_table_full", run).verdict == expected


def ena(lost_packets: int | None, available: int = 10) -> dict[str, Any]:
    def nic(exceeded: int) -> Nic:
        return Nic(
            name="ens5",
            allowances={"conntrack_allowance_exceeded": exceeded, "conntrack_allowance_available": available},
        )

    after = None if lost_packets is None else [nic(40 + lost_packets)]
    return {"before": runs.snapshot(nics=[nic(40)]), "after": runs.snapshot(nics=after)}


@pytest.mark.parametrize(
    ("lost_packets", "expected"), [(0, "possible"), (1, "confirmed"), (900, "confirmed"), (None, "possible")]
)
def test_the_clouds_own_counter_confirms_from_one_end(lost_packets: int | None, expected: str) -> None:
    """40 were lost before the run: only what is lost within it counts."""
    client = {**runs.sent_again(300), **ena(lost_packets)}
    found = alone("path_flow_table_full", lost(150, server=runs.remote(), client=client))
    assert found.verdict == expected
    if lost_packets:
        assert any(e.field == "conntrack_allowance_exceeded" and e.value == lost_packets for e in found.evidence)


def test_the_counter_without_a_lost_connect_accuses_nobody() -> None:
    assert alone("path_flow_table_full", runs.run(client=ena(900))).verdict == "ruled_out"


# path_filtered -----------------------------------------------------------------------------------------------------


def with_rules(rules: bool | None, drops: int | None) -> dict[str, Any]:
    reasons = None if drops is None else DropReasons(seconds=3.0, kfree_skb={"NETFILTER_DROP": drops})
    after = runs.snapshot(security=Security(nft_rules=rules), drop_reasons=reasons)
    return {**runs.sent_again(800), "after": after}


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.run(), "ruled_out"),
        (runs.dropped(), "confirmed"),
        (runs.table_full(), "ruled_out"),  # some got through
        (runs.dropped(server=runs.remote()), "possible"),
        (runs.dropped(server=TURNED_AWAY), "ruled_out"),
        (runs.dropped(client={}), "possible"),
        (runs.dropped(client=runs.sent_again(0)), "ruled_out"),
        # This host's firewall, by its own drop events.
        (runs.dropped(server=runs.remote(), client=with_rules(True, 400)), "confirmed"),
        (runs.dropped(server=runs.remote(), client=with_rules(True, 399)), "possible"),
        (runs.dropped(server=runs.remote(), client=with_rules(False, 400)), "possible"),
        (runs.dropped(server=runs.remote(), client=with_rules(None, 400)), "possible"),
        # Rejected.
        (runs.rejected(), "confirmed"),
        (runs.rejected("EHOSTUNREACH"), "confirmed"),
        (runs.rejected("ENETUNREACH"), "confirmed"),
        (runs.rejected("ENETUNREACH", client={"deltas": {"Ip.OutNoRoutes": 399}}), "confirmed"),
        (runs.rejected("ENETUNREACH", client={"deltas": {"Ip.OutNoRoutes": 400}}), "ruled_out"),  # no SYN was sent
        (runs.rejected("EHOSTUNREACH", client={"deltas": {"Tcp.ActiveOpens": 0}}), "ruled_out"),
        (runs.rejected("EHOSTUNREACH", client={"deltas": {"Tcp.ActiveOpens": 400}}), "confirmed"),
        (runs.rejected(funnel=runs.funnel(401, 1)), "possible"),
        (runs.rejected(server=runs.remote()), "not_observed"),
        (runs.rejected("EHOSTUNREACH", server=runs.remote()), "possible"),
        (runs.rejected("EPERM", server=runs.remote()), "confirmed"),
        (runs.rejected("EACCES", server=runs.remote()), "confirmed"),
        # The listener was not there, or came late, or went.
        (runs.rejected(server=runs.local(listener=None).replace(listener=None)), "ruled_out"),
        (runs.rejected(server=runs.untouched(before=runs.snapshot(listeners=[]))), "ruled_out"),
        (runs.rejected(server=runs.untouched(after=runs.snapshot(listeners=[]))), "ruled_out"),
        (runs.rejected(server=runs.untouched(after=runs.snapshot(listeners=None))), "confirmed"),
    ],
)
def test_a_filter(run: RunResult, expected: str) -> None:
    assert alone("path_filtered", run).verdict == expected


def test_rules_and_drop_events_stand_in_the_evidence() -> None:
    found = alone("path_filtered", runs.dropped(client=with_rules(True, 812)))
    fields = {e.field: e.value for e in found.evidence}
    assert fields["rules"] == "true"
    assert fields["NETFILTER_DROP"] == 812


# path_syn_loss -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.lossy(0), "ruled_out"),
        (runs.lossy(1), "possible"),
        (runs.lossy(2), "possible"),
        (runs.lossy(3), "confirmed"),
        (runs.lossy(server=runs.remote()), "possible"),
        (runs.lossy(server=TURNED_AWAY), "ruled_out"),
        (runs.table_full(), "ruled_out"),
        (runs.dropped(), "ruled_out"),
        (lost(150, **impatient(100, then=200)), "confirmed"),
        (lost(150, **impatient(100)), "ruled_out"),
        (runs.table_full(server=runs.remote()), "ruled_out"),
    ],
)
def test_loss_by_chance(run: RunResult, expected: str) -> None:
    assert alone("path_syn_loss", run).verdict == expected


@pytest.mark.parametrize(
    ("linear", "starts", "needed"), [(4, "1, 2, 3", "(2 retransmitted)"), (0, "1, 3, 7", "(1 retransmitted)")]
)
def test_the_latency_bands_follow_the_clients_sysctl(linear: int, starts: str, needed: str) -> None:
    before = runs.snapshot(sysctls={"net.ipv4.tcp_syn_linear_timeouts": [linear]})
    found = alone("path_syn_loss", runs.lossy(client={**runs.sent_again(20), "before": before}))
    text = next(e.text for e in found.evidence if e.field == "connect_us")
    assert f"begin at {starts} s" in text
    assert needed in text


# conntrack_full_local ----------------------------------------------------------------------------------------------


def tracked(before: Any, after: Any, **fields: Any) -> RunResult:
    return lost(150, client={**runs.sent_again(300), "before": before, "after": after}, **fields)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (tracked(runs.conntrack(7), runs.conntrack(7)), "ruled_out"),
        (tracked(runs.conntrack(7), runs.conntrack(8)), "confirmed"),
        (tracked(runs.conntrack(7), runs.conntrack(7, 65_535, 65_536)), "ruled_out"),
        (tracked(runs.conntrack(7), runs.conntrack(7, 65_536, 65_536)), "confirmed"),
        (tracked(runs.conntrack(7), runs.conntrack(7, 99, 0)), "ruled_out"),  # no limit
        (tracked(runs.snapshot(), runs.conntrack(900)), "ruled_out"),  # since boot: no evidence
        (tracked(runs.snapshot(), runs.snapshot()), "not_observed"),
        (tracked(runs.conntrack(None, None), runs.conntrack(None, None)), "not_observed"),
        (tracked(runs.conntrack(7), runs.conntrack(8), server=TURNED_AWAY), "possible"),
        (runs.run(client={"before": runs.conntrack(0), "after": runs.conntrack(9)}), "ruled_out"),
    ],
)
def test_this_hosts_own_table(run: RunResult, expected: str) -> None:
    assert alone("conntrack_full_local", run).verdict == expected


def test_the_servers_table_is_the_servers_side() -> None:
    server = runs.untouched(250, before=runs.conntrack(0), after=runs.conntrack(300))
    found = alone("conntrack_full_local", lost(150, server=server))
    assert (found.verdict, found.side) == ("confirmed", "server")
