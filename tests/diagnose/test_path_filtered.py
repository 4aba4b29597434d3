from __future__ import annotations

from typing import Any

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone
from tests.diagnose.lost_syns import TURNED_AWAY

from estab.diagnose.judge import judge
from estab.records import ConnectAfter, DropReasons, RunResult, Security


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
        # The server's host sent the resets itself: no listener is where the client asked, or others got them.
        (runs.elsewhere(resets=201), "ruled_out"),
        (runs.elsewhere(resets=200), "confirmed"),
        (runs.elsewhere(resets=400, address="0.0.0.0"), "possible"),
        (runs.elsewhere(resets=400, address="192.0.2.7"), "possible"),
        (runs.elsewhere(resets=None), "confirmed"),
    ],
)
def test_a_filter(run: RunResult, expected: str) -> None:
    assert alone("path_filtered", run).verdict == expected


def test_rules_and_drop_events_stand_in_the_evidence() -> None:
    suspect = alone("path_filtered", runs.dropped(client=with_rules(True, 812)))
    fields = {e.field: e.value for e in suspect.evidence}
    assert fields["rules"] == "true"
    assert fields["NETFILTER_DROP"] == 812


@pytest.mark.parametrize(
    ("told", "own", "suspects"),
    [
        (2, 0, {"path_filtered"}),
        (0, 0, {"path_filtered", "server_open_files", "server_not_accepting", "accept_queue_overflow"}),
        (2, 2, {"path_filtered", "server_open_files", "server_not_accepting", "accept_queue_overflow"}),
    ],
)
def test_a_router_that_says_unreachable_speaks_for_the_server(told: int, own: int, suspects: set[str]) -> None:
    """It says so to a client once a second: of 15 connects 13 time out."""
    counted = {**runs.sent_again(39)["deltas"], "Icmp.InDestUnreachs": told, "Icmp.OutDestUnreachs": own}
    run = runs.run(
        funnel=runs.funnel(15, 0),
        failures=[runs.failure("connect", "own_timeout", 13), runs.failure("connect", "EHOSTUNREACH", 2)],
        client={"deltas": counted},
        server=runs.remote(),
    )
    found = {suspect.cause for suspect in judge(run).suspects if suspect.verdict == "possible"}
    assert suspects & found == suspects
    assert not found & ({"server_open_files", "server_not_accepting", "accept_queue_overflow"} - suspects)


def test_who_said_so_by_icmp_is_named() -> None:
    after = ConnectAfter(errno="EHOSTUNREACH", waited_s=0.01, said_by="192.0.2.1", said="prohibited by a filter")
    told = alone("path_filtered", runs.rejected("EHOSTUNREACH").replace(connect_after=after))
    assert told.summary.endswith("192.0.2.1 says: prohibited by a filter.")
    assert any("192.0.2.1 said by ICMP" in each.text for each in told.evidence)


@pytest.mark.parametrize(
    ("said", "own", "expected"),
    [
        ("prohibited by a filter", 0, "confirmed"),
        ("host prohibited", 0, "confirmed"),
        ("prohibited by a filter", 9, "possible"),  # this host's own rule may have said it
        ("host unreachable", 0, "possible"),  # a host that is gone
    ],
)
def test_another_host_that_says_its_rules_forbid_it(said: str, own: int, expected: str) -> None:
    counted = {**runs.deltas(), "Icmp.InDestUnreachs": 9, "Icmp.OutDestUnreachs": own, "Tcp.ActiveOpens": 9}
    after = ConnectAfter(errno="EHOSTUNREACH", said_by="192.0.2.1", said=said)
    run = runs.rejected("EHOSTUNREACH", client={"deltas": counted}, server=runs.remote())
    assert alone("path_filtered", run.replace(connect_after=after)).verdict == expected
