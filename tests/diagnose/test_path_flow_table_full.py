from __future__ import annotations

from typing import Any

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone
from tests.diagnose.lost_syns import TURNED_AWAY, impatient, lost

from estab.records import Nic, RunResult, ServerSockets, TimelinePoint

ETIMEDOUT = [runs.failure("connect", "ETIMEDOUT", 150)]


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


def over_time(last_s: float, *later: TimelinePoint, command: str = "hold") -> RunResult:
    """So many seconds until the last of 250 connects got through."""
    points = [runs.point(0.1, connected=20, open=20), runs.point(last_s, attempted=400, connected=250, open=250)]
    return lost(150, timeline=[*points, *later]).replace(command=command)


def at_end(**fields: Any) -> TimelinePoint:
    return runs.point(6.0, attempted=400, connected=250, failed=150, **fields)


def left_at_server(established: int) -> RunResult:
    """So many are ESTABLISHED there when the client has closed all."""
    sockets = ServerSockets(port=5000, states={"ESTAB": established}, queued=0, accepted=established)
    run = over_time(1.1, at_end())
    return run.replace(server=run.server.replace(after=runs.snapshot(server_sockets=sockets)))


@pytest.mark.parametrize(
    ("run", "table", "filtered"),
    [
        (over_time(1.0), "confirmed", "ruled_out"),  # at once: it was their number
        (over_time(1.1), "possible", "possible"),  # the way may have ended for all
        # What was open was answered later, or closed in order.
        (over_time(1.1, at_end(requests=9), at_end(requests=9)), "possible", "possible"),
        (over_time(1.1, at_end(requests=9), at_end(requests=10)), "confirmed", "ruled_out"),
        (over_time(1.1, at_end(client_states={"FIN-WAIT-1": 250})), "possible", "possible"),
        (over_time(1.1, at_end(client_states={"TIME-WAIT": 126})), "confirmed", "ruled_out"),
        (left_at_server(125), "possible", "possible"),
        (left_at_server(124), "confirmed", "ruled_out"),  # the others were closed there too
        # Of a churn these are from before.
        (over_time(1.1, at_end(client_states={"TIME-WAIT": 250}), command="churn"), "possible", "possible"),
    ],
)
def test_a_way_that_ends_in_between_looks_alike(run: RunResult, table: str, filtered: str) -> None:
    assert (alone("path_flow_table_full", run).verdict, alone("path_filtered", run).verdict) == (table, filtered)


def test_a_full_table_says_nothing_and_a_router_without_a_route_does() -> None:
    told = over_time(1.9, at_end())
    failures = [runs.failure("connect", "EHOSTUNREACH", 2), *told.failures]
    counted = {**runs.sent_again(300)["deltas"], "Icmp.InDestUnreachs": 2, "Icmp.OutDestUnreachs": 0}
    run = told.replace(failures=failures, client=told.client.replace(deltas=counted))
    assert alone("path_flow_table_full", run).verdict == "ruled_out"
    assert alone("path_filtered", run).verdict == "confirmed"


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
    suspect = alone("path_flow_table_full", lost(150, server=runs.remote(), client=client))
    assert suspect.verdict == expected
    if lost_packets:
        assert any(e.field == "conntrack_allowance_exceeded" and e.value == lost_packets for e in suspect.evidence)


def test_the_counter_without_a_lost_connect_accuses_nobody() -> None:
    assert alone("path_flow_table_full", runs.run(client=ena(900))).verdict == "ruled_out"


def test_a_healthy_run_does_not_accuse_it() -> None:
    assert alone("path_flow_table_full", runs.run()).verdict == "ruled_out"
