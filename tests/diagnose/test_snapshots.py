"""One snapshot gives only what stands in it; two give deltas; what needs a run says so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.diagnose import runs
from tests.diagnose.anything import of

from estab.diagnose import judge_snapshots
from estab.diagnose.cause import NeedsRun
from estab.diagnose.suspects import CAUSES
from estab.records import Conntrack, Diagnosis, Listener, Nic, Process, Snapshot, Thread

COUNTERS = {
    "TcpExt.ListenOverflows": 5_000,
    "TcpExt.ListenDrops": 9_000,
    "TcpExt.TCPReqQFullDrop": 3_000,
    "TcpExt.TCPDeferAcceptDrop": 700,
    "TcpExt.SyncookiesFailed": 800,
    "TcpExt.EmbryonicRsts": 90,
    "TcpExt.TCPSynRetrans": 60,
}


def listener(depth: int = 0, limit: int = 511, drops: int = 40, **owner: Any) -> Listener:
    process = Process(**{"pid": 9, "name": "nginx", "fds": 20, "nofile_soft": 1024, "cpu_s": 4.0, **owner})
    return Listener(
        family=4, address="127.0.0.1", port=80, depth=depth, limit=limit, drops=drops, inode=7, owners=[process]
    )


def moment(at: float = 100.0, moved: dict[str, int] | None = None, **fields: Any) -> Snapshot:
    """A healthy host whose counters since boot look bad."""
    counters = {name: value + (moved or {}).get(name.partition(".")[2], 0) for name, value in COUNTERS.items()}
    values: dict[str, Any] = {
        "taken_at_s": at,
        "listeners": [listener()],
        "counters": counters,
        "conntrack": Conntrack(count=10, maximum=1000, drop=77),
        "port_use": runs.ports(),
        "nics": [Nic(name="ens5", allowances={"conntrack_allowance_exceeded": 40})],
    }
    return runs.snapshot(**{**values, **fields})


def verdict(found: Diagnosis, cause: str) -> str:
    return next(s.verdict for s in found.suspects if s.cause == cause)


@pytest.mark.parametrize("before", [None, moment(90.0)], ids=["one", "two"])
def test_a_quiet_host_accuses_nobody_whatever_it_counted_since_boot(before: Snapshot | None) -> None:
    diagnosis = judge_snapshots(before, moment())
    assert diagnosis.cause is None
    assert {s.verdict for s in diagnosis.suspects} <= {"ruled_out", "not_observed"}
    assert all(s.evidence and s.summary for s in diagnosis.suspects)
    assert diagnosis.summary.startswith("No limit is met.")


def test_one_snapshot_says_that_it_is_one() -> None:
    diagnosis = judge_snapshots(None, moment())
    assert "From one snapshot" in diagnosis.summary
    for cause in ("syn_queue_overflow", "cookie_reset", "defer_accept_drops", "accept_queue_overflow"):
        assert verdict(diagnosis, cause) == "not_observed"


def test_what_needs_a_run_says_why() -> None:
    diagnosis = judge_snapshots(moment(90.0), moment())
    for cause in CAUSES:
        if isinstance(cause.judge_snapshots, NeedsRun):
            suspect = next(s for s in diagnosis.suspects if s.cause == cause.id)
            assert suspect.verdict == "not_observed"
            assert "run estab hold, bench or churn" in suspect.summary


# Now ---------------------------------------------------------------------------------------------------------------

PORTS_FULL = runs.ports(used=10, worst_source_used=10, capacity=10)


@pytest.mark.parametrize(
    ("after", "cause", "side"),
    [
        (moment(listeners=[listener(depth=512)]), "accept_queue_overflow", "server"),
        (moment(listeners=[listener(depth=129, limit=128)]), "backlog_clamped", "server"),
        (moment(listeners=[listener(depth=1, fds=1024)]), "server_open_files", "server"),
        (moment(listeners=[listener(depth=512, fds=1024)]), "server_open_files", "server"),
        (moment(conntrack=Conntrack(count=1000, maximum=1000)), "conntrack_full_local", "client"),
        (moment(port_use=PORTS_FULL), "ephemeral_port_exhaustion", "client"),
        (moment(port_use=PORTS_FULL.replace(time_wait=9)), "time_wait_port_exhaustion", "client"),
        (
            moment(port_use=runs.ports(used=4, worst_source_used=4, capacity=10, bound=6)),
            "bound_ports_poisoned",
            "client",
        ),
        (  # of an odd range a search leaves one port out
            moment(
                port_use=runs.ports(used=300, worst_source_used=300, capacity=301),
                sysctls={"net.ipv4.ip_local_port_range": [40000, 40300]},
            ),
            "ephemeral_port_exhaustion",
            "client",
        ),
        (
            moment(nics=[Nic(name="ens5", allowances={"conntrack_allowance_available": 0})]),
            "path_flow_table_full",
            "path",
        ),
    ],
)
def test_what_is_full_now_is_named_from_one_snapshot(after: Snapshot, cause: str, side: str) -> None:
    diagnosis = judge_snapshots(None, after)
    assert (diagnosis.cause, diagnosis.side) == (cause, side)
    assert [s.cause for s in diagnosis.suspects if s.verdict == "confirmed"] == [cause]
    winner = next(s for s in diagnosis.suspects if s.cause == cause)
    assert {r.works for r in winner.remedies} == {True, False}


@pytest.mark.parametrize(
    ("after", "cause"),
    [
        (moment(listeners=[listener(depth=511)]), "accept_queue_overflow"),  # B fit, and one more
        (moment(listeners=[listener(depth=1, fds=1023)]), "server_open_files"),
        (moment(conntrack=Conntrack(count=999, maximum=1000)), "conntrack_full_local"),
        (moment(port_use=runs.ports(used=8, worst_source_used=8, capacity=10)), "ephemeral_port_exhaustion"),
    ],
)
def test_one_below_the_limit_is_not_full(after: Snapshot, cause: str) -> None:
    diagnosis = judge_snapshots(None, after)
    assert diagnosis.cause is None
    assert verdict(diagnosis, cause) in ("ruled_out", "not_observed")


def test_an_even_range_leaves_no_port_out() -> None:
    use = runs.ports(used=299, worst_source_used=299, capacity=300)
    diagnosis = judge_snapshots(None, moment(port_use=use, sysctls={"net.ipv4.ip_local_port_range": [40000, 40299]}))
    assert diagnosis.cause is None
    assert verdict(diagnosis, "ephemeral_port_exhaustion") == "possible"


# Between two -------------------------------------------------------------------------------------------------------


def two(moved: dict[str, int], first: Any = None, second: Any = None) -> Diagnosis:
    return judge_snapshots(moment(90.0, **(first or {})), moment(100.0, moved, **(second or {})))


OFF = {"sysctls": {"net.ipv4.tcp_syncookies": [0]}}
ABORT = {"sysctls": {"net.ipv4.tcp_abort_on_overflow": [1]}}
DROPPED = {"listeners": [listener(drops=49)]}


@pytest.mark.parametrize(
    ("found", "cause", "expected"),
    [
        (two({"ListenOverflows": 9, "ListenDrops": 9}, None, DROPPED), "accept_queue_overflow", "confirmed"),
        (two({"ListenOverflows": 9, "ListenDrops": 9}), "accept_queue_overflow", "ruled_out"),  # another listener's
        (two({"TCPReqQFullDrop": 9, "ListenDrops": 9}, OFF, {**OFF, **DROPPED}), "syn_queue_overflow", "confirmed"),
        (two({"TCPReqQFullDrop": 9, "ListenDrops": 9}, OFF, OFF), "syn_queue_overflow", "ruled_out"),
        (two({"TCPDeferAcceptDrop": 9}), "defer_accept_drops", "possible"),
        (two({"SyncookiesFailed": 9, "ListenOverflows": 1}), "cookie_reset", "possible"),
        (two({"SyncookiesFailed": 9}), "cookie_reset", "ruled_out"),
        (two({"EmbryonicRsts": 9, "ListenOverflows": 9}, ABORT, ABORT), "abort_on_overflow", "confirmed"),
        (two({"EmbryonicRsts": 9, "ListenOverflows": 9}), "abort_on_overflow", "ruled_out"),
        (
            two({}, None, {"conntrack": Conntrack(count=10, maximum=1000, drop=78)}),
            "conntrack_full_local",
            "confirmed",
        ),
        (
            two({}, None, {"nics": [Nic(name="ens5", allowances={"conntrack_allowance_exceeded": 41})]}),
            "path_flow_table_full",
            "confirmed",
        ),
        (
            two({}, {"listeners": [listener(3)]}, {"listeners": [listener(5)]}),
            "server_not_accepting",
            "possible",
        ),
        (
            two({}, {"listeners": [listener(3)]}, {"listeners": [listener(2)]}),
            "server_not_accepting",
            "ruled_out",
        ),
        (
            two({}, {"listeners": [listener(3)]}, {"listeners": [listener(2, cpu_s=24.0)]}),
            "accept_thread_starved",
            "possible",
        ),
        (
            two({}, {"listeners": [listener(3)]}, {"listeners": [listener(2, cpu_s=5.0)]}),
            "accept_thread_starved",
            "ruled_out",
        ),
    ],
)
def test_what_moved_in_between(found: Diagnosis, cause: str, expected: str) -> None:
    assert verdict(found, cause) == expected
    assert "10.0 s apart" in found.summary


@pytest.mark.parametrize(
    ("again", "told"), [(0, "is seen at the clients alone"), (7, "this host's own connects sent 7 SYNs again")]
)
def test_what_an_overflow_cost_is_not_said_to_be_nothing(again: int, told: str) -> None:
    found = two({"ListenOverflows": 9, "ListenDrops": 9, "TCPSynRetrans": again}, None, DROPPED)
    assert told in found.summary


def member(inode: int, depth: int, ran_ns: int, limit: int = 8) -> Listener:
    threads = [Thread(tid=inode, state="S", ran_ns=ran_ns, waited_ns=0)]
    process = Process(pid=inode, name="app", started_ticks=5, threads=threads)
    return Listener(
        family=4, address="0.0.0.0", port=80, depth=depth, limit=limit, drops=0, inode=inode, owners=[process]
    )


@pytest.mark.parametrize(
    ("first", "second", "one_alone", "server"),
    [
        # Its owner did not run, whatever its neighbours accepted.
        ([member(1, 3, 10), member(2, 0, 10)], [member(1, 3, 10), member(2, 0, 90)], "confirmed", "possible"),
        ([member(1, 3, 10), member(2, 0, 10)], [member(1, 3, 20), member(2, 0, 90)], "ruled_out", "possible"),
        # It ran, was full at both, and the others were empty: it alone does not accept.
        ([member(1, 9, 10), member(2, 0, 10)], [member(1, 9, 20), member(2, 0, 90)], "confirmed", "possible"),
        ([member(1, 9, 10), member(2, 1, 10)], [member(1, 9, 20), member(2, 0, 90)], "ruled_out", "possible"),
        ([member(1, 9, 10), member(2, 9, 10)], [member(1, 9, 20), member(2, 9, 90)], "ruled_out", "possible"),
        ([member(1, 9, 10), member(2, 0, 10)], [member(1, 8, 20), member(2, 0, 90)], "ruled_out", "ruled_out"),
        # A single listener in its namespace accepted what was opened and does not wait.
        ([member(1, 3, 10)], [member(1, 3, 20)], "ruled_out", "ruled_out"),
    ],
)
def test_a_listener_beside_busy_ones(
    first: list[Listener], second: list[Listener], one_alone: str, server: str
) -> None:
    before, after = (
        moment(at_s, listeners=listeners, counters={"Tcp.PassiveOpens": opened}, states={"LISTEN": len(listeners)})
        for at_s, listeners, opened in ((98.0, first, 100), (100.0, second, 150))
    )
    said = judge_snapshots(before, after)
    assert (verdict(said, "reuseport_member_stuck"), verdict(said, "server_not_accepting")) == (one_alone, server)


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (moment(100.0), "not taken before"),
        (moment(101.0), "not taken before"),
        (moment(90.0, host=runs.HOST.replace(hostname="other")), "two hosts"),
        (
            moment(90.0, host=runs.HOST.replace(netns_inode=1)),
            "two network namespaces",
        ),
    ],
)
def test_two_that_do_not_belong_together_are_not_set_against_each_other(before: Snapshot, why: str) -> None:
    after = moment(100.0, {"ListenOverflows": 9, "ListenDrops": 9}, **DROPPED, host=runs.HOST.replace(netns_inode=2))
    diagnosis = judge_snapshots(before, after)
    assert diagnosis.cause is None
    assert why in diagnosis.summary


def test_a_counter_that_fell_began_anew() -> None:
    found = two({"ListenOverflows": -100, "ListenDrops": -100}, None, DROPPED)
    assert verdict(found, "accept_queue_overflow") != "confirmed"


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=st.none() | of(Snapshot), after=of(Snapshot))
def test_never_raises_and_names_at_most_one(before: Snapshot | None, after: Snapshot) -> None:
    diagnosis = judge_snapshots(before, after)
    confirmed = [s.cause for s in diagnosis.suspects if s.verdict == "confirmed"]
    assert confirmed == ([diagnosis.cause] if diagnosis.cause else [])
    assert [s.cause for s in diagnosis.suspects] == [cause.id for cause in CAUSES]
    assert all(s.summary and s.evidence for s in diagnosis.suspects)
    assert judge_snapshots(before, after) == diagnosis
