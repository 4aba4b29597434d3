from __future__ import annotations

from typing import Any

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone
from tests.diagnose.resets import server


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (server(), "ruled_out"),
        (server(TCPReqQFullDrop=1, ListenDrops=1), "confirmed"),
        (server(ListenDrops=1), "confirmed"),  # tcp_max_syn_backlog's: ListenDrops alone
        (server(None, ListenDrops=1), "confirmed"),
        (server(1, TCPReqQFullDoCookies=900), "ruled_out"),  # cookies drop nothing
        (server(1, ListenDrops=9), "ruled_out"),
        (server(2, ListenDrops=9), "ruled_out"),
        (server(TCPReqQFullDrop=9, ListenDrops=9, drops=0), "ruled_out"),  # another listener's
        (server(TCPReqQFullDrop=9, ListenDrops=9, drops=None), "possible"),
        (server(TCPReqQFullDrop=9, ListenDrops=17, ListenOverflows=8, drops=9), "confirmed"),
        (server(TCPReqQFullDrop=9, ListenDrops=17, ListenOverflows=8, drops=8), "possible"),
        (server(TCPReqQFullDrop=9, ListenDrops=18, ListenOverflows=9, drops=18), "possible"),
        (runs.remote(), "not_observed"),
        (runs.local(runs.watch(), deltas={"TcpExt.ListenDrops": 4}), "ruled_out"),  # cookies on
    ],
)
def test_syn_queue(end: Any, expected: str) -> None:
    assert alone("syn_queue_overflow", runs.run(server=end)).verdict == expected


@pytest.mark.parametrize(
    ("counters", "works"),
    [({"TCPReqQFullDrop": 9, "ListenDrops": 9}, False), ({"ListenDrops": 9}, True)],
)
def test_tcp_max_syn_backlog_helps_only_where_it_was_full(counters: dict[str, int], works: bool) -> None:
    found = alone("syn_queue_overflow", runs.run(server=server(**counters))).remedies
    raised = next(r for r in found if r.command.startswith("sysctl -w net.ipv4.tcp_max_syn_backlog"))
    assert raised.works is works


def test_the_bound_is_the_kernels_rule() -> None:
    """B=128, M=2048, cookies off: docs/kernel.md's table says 129."""
    suspect = alone("syn_queue_overflow", runs.run(server=server(TCPReqQFullDrop=1, ListenDrops=1)))
    assert next(e.threshold for e in suspect.evidence if e.field == "SYN_RECV") == 129


def test_a_healthy_run_does_not_accuse_it() -> None:
    assert alone("syn_queue_overflow", runs.run()).verdict == "ruled_out"
