"""One of several listeners of a port (SO_REUSEPORT) accepts nothing."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.records import Listener, Process, RunResult, ServerLook, Snapshot, Suspect, Thread


def by_looks() -> RunResult:
    """The same, of a server that a command showed three times."""
    run = runs.one_of_several_stuck(9)
    few = [
        ServerLook(t_s=t_s, queue_depth=depth, queue_depths={"3": depth}) for t_s, depth in ((0, 0), (4, 9), (5.2, 9))
    ]
    return run.replace(timeline=[], server=run.server.replace(looks=few))


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.one_of_several_stuck(), "confirmed"),
        (runs.one_of_several_stuck(1), "confirmed"),
        (runs.one_of_several_stuck(0), "ruled_out"),
        (runs.one_of_several_stuck(still_s=1.0), "confirmed"),
        (runs.one_of_several_stuck(still_s=0.9), "ruled_out"),  # a pause may last so long
        (runs.one_of_several_stuck(members=3, others=0), "confirmed"),
        (by_looks(), "confirmed"),
        (runs.stalled(), "ruled_out"),  # one listener
        (runs.run(), "ruled_out"),
        (runs.run(server=runs.remote()), "not_observed"),
    ],
)
def test_one_of_several_listeners(run: RunResult, expected: str) -> None:
    assert alone("reuseport_member_stuck", run).verdict == expected


def test_where_all_of_them_stand_still_it_is_no_member() -> None:
    run = runs.one_of_several_stuck(members=3)
    depths = {"1": 20, "2": 21, "3": 50}
    timeline = [point.replace(queue_depth=91, queue_depths=depths) for point in run.timeline]
    assert alone("reuseport_member_stuck", run.replace(timeline=timeline)).verdict == "ruled_out"


def test_the_listener_its_process_and_what_it_does_are_named() -> None:
    said = judge(runs.one_of_several_stuck())
    assert said.cause == "reuseport_member_stuck"
    assert said.summary.startswith(
        "1 of 4 listeners of the port accepts nothing (pid 103): 50 connections waited there for 1.8 s, while the "
        "others were emptied. node (pid 103) is stopped (state T)."
    )
    (named,) = [suspect for suspect in said.suspects if suspect.cause == said.cause]
    assert any(
        remedy.command.startswith("sysctl -w net.ipv4.tcp_migrate_req=1; kill 103 ") for remedy in named.remedies
    )
    assert all(not remedy.works for remedy in named.remedies if "backlog" in remedy.command)
    asleep = judge(runs.one_of_several_stuck(state="D"))
    assert "node (pid 103) has a thread in uninterruptible sleep (state D)" in asleep.summary


def test_it_is_named_in_place_of_a_server_that_stopped_accepting() -> None:
    verdicts = {suspect.cause: suspect.verdict for suspect in judge(runs.one_of_several_stuck()).suspects}
    assert verdicts["server_not_accepting"] == "possible"


def test_processes_that_share_all_listeners_are_all_named() -> None:
    """As nginx's workers, which inherit each other's sockets."""
    run = runs.one_of_several_stuck(state="S")
    workers = [Process(pid=pid, name="nginx", thread_states={"S": 1}) for pid in (7, 8)]
    assert run.server.after is not None
    shared = [at.replace(owners=workers) for at in run.server.after.listeners or []]
    server = run.server.replace(after=run.server.after.replace(listeners=shared), processes=workers)
    assert "accepts nothing (pid 7, 8): " in alone("reuseport_member_stuck", run.replace(server=server)).summary


# Snapshots -----------------------------------------------------------------------------------------------------------


def host(
    at_s: float, *depths: int, limit: int = 16, state: str = "S", ran_ns: int = 5, address: str = "0.0.0.0"
) -> Snapshot:
    """Listeners of one port, of which the first belongs to a process in that state that ran so long."""
    ran = [ran_ns, *(int(at_s * 1e6) for _ in depths[1:])]
    listeners = [
        Listener(
            family=4, address=address if inode == 1 else "0.0.0.0", port=80, depth=depth, limit=limit, inode=inode,
            owners=[
                Process(
                    pid=inode, name="app", started_ticks=1, thread_states={state if inode == 1 else "S": 1},
                    threads=[Thread(tid=inode, state="S", ran_ns=ran[inode - 1], waited_ns=0)],
                )
            ],
        )
        for inode, depth in enumerate(depths, 1)
    ]  # fmt: skip
    return runs.snapshot(taken_at_s=at_s, listeners=listeners)


def of_hosts(before: Snapshot | None, after: Snapshot) -> Suspect:
    suspects = judge_snapshots(before, after).suspects
    return next(suspect for suspect in suspects if suspect.cause == "reuseport_member_stuck")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (host(1, 17, 0, 0), host(3, 17, 0, 0), "confirmed"),  # full at both looks
        (host(1, 3, 0, 0), host(3, 5, 0, 0), "confirmed"),  # its process did not run in between
        (host(1, 3, 0, 0), host(3, 5, 0, 0, ran_ns=9), "ruled_out"),  # a moment of a busy host may look so
        (host(1, 3, 0, 0), host(1.9, 5, 0, 0), "ruled_out"),
        (host(1, 5, 0, 0), host(3, 3, 0, 0), "ruled_out"),  # it fell
        (host(1, 17, 0, 2), host(3, 17, 0, 0), "ruled_out"),  # others had work too
        (host(1, 17), host(3, 17), "ruled_out"),
        (host(1, 17, 0, 0, address="10.0.0.5"), host(3, 17, 0, 0, address="10.0.0.5"), "ruled_out"),  # no group
        (None, host(3, 17, 0, 0), "not_observed"),
        (None, host(3, 2, 0, 0, state="T"), "confirmed"),
        (None, host(3, 2, 0, 1, state="T"), "not_observed"),
        (None, host(3, 0, 0, 0), "not_observed"),
    ],
)
def test_looks_at_a_host(before: Snapshot | None, after: Snapshot, expected: str) -> None:
    assert of_hosts(before, after).verdict == expected
