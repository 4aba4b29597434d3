"""TCP's memory of the machine against what an end's own namespace counted. Made: the limit is the whole machine's."""

from __future__ import annotations

from typing import Any

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.records import Diagnosis, RunResult, Snapshot

UNSHOWN: dict[str, Any] = {}  # a container does not show the limits


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.memory_used_up(), "confirmed"),
        (runs.memory_used_up(180_001), "confirmed"),
        (runs.memory_used_up(180_000, aborted=0), "ruled_out"),
        (runs.memory_used_up(aborted=51), "confirmed"),
        (runs.memory_used_up(aborted=50), "possible"),
        (runs.memory_used_up(aborted=0), "possible"),  # a neighbour's: nothing of this namespace was met
        (runs.memory_used_up(aborted=0, not_taken=300, resets=0, stalled=80), "confirmed"),
        (runs.memory_used_up(aborted=0, not_taken=40, resets=0, stalled=80), "possible"),
        (runs.memory_used_up(aborted=0, not_taken=0, resets=0, stalled=80), "possible"),
        (runs.memory_used_up(aborted=0, not_taken=300), "possible"),  # dropped data resets nobody
        (runs.memory_used_up(orphans=40_000), "possible"),  # either has sockets reset
        (runs.memory_used_up(4_000), "possible"),  # between two looks: the counter has two reasons
        (runs.memory_used_up(4_000, 40_000), "ruled_out"),
        (runs.memory_used_up(limits=UNSHOWN), "possible"),
        (runs.memory_used_up(limits=UNSHOWN, aborted=0), "not_observed"),
        (runs.memory_used_up(server=runs.remote()), "not_observed"),
        (runs.memory_used_up(resets=0, aborted=500), "ruled_out"),  # others of its namespace: nobody here failed
        (runs.run(), "ruled_out"),
        (runs.healthy_bench(), "ruled_out"),
        (runs.cut_short(), "not_observed"),
    ],
)
def test_memory_that_is_used_up(run: RunResult, expected: str) -> None:
    assert alone("tcp_memory_exhausted", run).verdict == expected


def test_in_one_namespace_what_the_clients_close_is_theirs() -> None:
    """An orphan of a client is reset as well, and costs no client anything."""
    here = runs.snapshot(sysctls=runs.LIMITS, worst_sockstat={"TCP.mem": 200_000, "TCP.orphan": 3})
    counted = runs.deltas(TCPAbortOnMemory=300)
    both = {"before": here, "after": here, "deltas": counted}
    shared = runs.memory_used_up(server=runs.local(**both), client=both)
    assert alone("tcp_memory_exhausted", shared).verdict == "possible"


def test_a_connect_that_failed_is_not_charged_to_it() -> None:
    refused = runs.refused(server=runs.memory_used_up().server)
    assert alone("tcp_memory_exhausted", refused).verdict == "ruled_out"
    assert judge(refused).cause != "tcp_memory_exhausted"


def test_the_clients_machine_is_the_clients_side() -> None:
    used_up = runs.at("client", sysctls=runs.LIMITS, sockstat={"TCP.mem": 190_000, "TCP.orphan": 0})
    client = {"before": used_up, "after": used_up, "deltas": runs.deltas(TCPRcvQDrop=90)}
    run = runs.memory_used_up(resets=0, stalled=60, client=client, server=runs.remote())
    suspect = alone("tcp_memory_exhausted", run)
    assert (suspect.verdict, suspect.side) == ("confirmed", "client")


def host(at_s: float, mem: int | None, orphans: int = 3, aborted: int = 0, shown: bool = True) -> Snapshot:
    counters = {**runs.COUNTERS, "TcpExt.TCPAbortOnMemory": aborted}
    figures = None if mem is None else {"TCP.mem": mem, "TCP.orphan": orphans}
    return runs.snapshot(taken_at_s=at_s, sysctls=runs.LIMITS if shown else {}, sockstat=figures, counters=counters)


def said_of(diagnosis: Diagnosis) -> str:
    return next(s.verdict for s in diagnosis.suspects if s.cause == "tcp_memory_exhausted")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, host(9.0, 180_001), "confirmed"),
        (None, host(9.0, 180_000), "ruled_out"),
        (None, host(9.0, 180_001, shown=False), "not_observed"),
        (None, host(9.0, None), "not_observed"),
        (host(1.0, 4_000), host(9.0, 4_000, aborted=7), "possible"),
        (host(1.0, 4_000), host(9.0, 4_000, 33_000, aborted=7), "ruled_out"),
        (host(1.0, 4_000, aborted=7), host(9.0, 4_000, aborted=7), "ruled_out"),
    ],
)
def test_a_host_without_a_run(before: Snapshot | None, after: Snapshot, expected: str) -> None:
    diagnosis = judge_snapshots(before, after)
    assert said_of(diagnosis) == expected
    assert (diagnosis.cause == "tcp_memory_exhausted") is (expected == "confirmed")
