"""A CPU quota that stops the server: figures as Linux 6.18 gives them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.diagnose.suspects import server_cpu_quota
from estab.records import Process, RunResult, Snapshot


def with_owners(run: RunResult, **fields: Any) -> RunResult:
    """The run with other facts of each process that owns a listener."""

    def changed(snapshot: Snapshot | None) -> Snapshot | None:
        return snapshot and snapshot.replace(
            listeners=[
                at.replace(owners=[owner.replace(**fields) for owner in at.owners or []])
                for at in snapshot.listeners or []
            ]
        )

    processes = [process.replace(**fields) for process in run.server.processes or []]
    before, after = changed(run.server.before), changed(run.server.after)
    return run.replace(server=run.server.replace(before=before, after=after, processes=processes))


def without_quota() -> RunResult:
    """Of a process that is in no cgroup whose CPU is counted."""
    return with_owners(runs.held_by_quota(), cgroup_cpu=None)


def uncounted() -> RunResult:
    """Neither the counters nor the listener's own drops were read."""
    run = runs.held_by_quota()
    return run.replace(server=run.server.replace(deltas=None, listener=runs.watch(limit=8, worst_depth=8, drops=None)))


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.held_by_quota(), "confirmed"),
        (runs.held_by_quota(4, 0.4, waited_s=0.4), "confirmed"),  # a tenth of the periods, and of the time
        (runs.held_by_quota(3, 0.4, waited_s=0.4), "ruled_out"),
        (runs.held_by_quota(4, 0.39, waited_s=0.4), "ruled_out"),
        (runs.held_by_quota(0, 0.0), "ruled_out"),
        (runs.held_by_quota(waited_s=0.39), "ruled_out"),  # something else in its cgroup used it up
        (runs.held_by_quota(19, 1.0, waited_s=2.0), "confirmed"),  # half of its waiting
        (runs.held_by_quota(19, 0.9, waited_s=2.0), "ruled_out"),  # others had its core for longer
        (
            runs.held_by_quota(20, 0.9, waited_s=2.0),
            "confirmed",
        ),  # and yet its quota was used up in half of the periods
        (runs.held_by_quota(drops=0), "ruled_out"),  # nothing failed by it
        (runs.held_by_quota(drops=0, late=30), "confirmed"),
        (runs.held_by_quota(20, drops=0, late=30), "confirmed"),  # half of the periods
        (runs.held_by_quota(19, drops=0, late=30), "possible"),
        (runs.held_by_quota(drops=0, late=30, ran_s=0.4), "possible"),  # it had time left
        (uncounted(), "possible"),
        (without_quota(), "ruled_out"),
        (runs.starved(), "not_observed"),  # its snapshots tell no time between them
        (runs.overflowed(), "not_observed"),  # its owner was not read
        (runs.run(server=runs.remote()), "not_observed"),
    ],
)
def test_a_quota_that_stops_the_server(run: RunResult, expected: str) -> None:
    assert alone("server_cpu_quota", run).verdict == expected


def test_it_is_named_in_place_of_what_it_brings_about() -> None:
    said = judge(runs.held_by_quota())
    verdicts = {suspect.cause: suspect.verdict for suspect in said.suspects}
    assert said.cause == "server_cpu_quota"
    assert said.summary.startswith(
        "The CPU quota of its cgroup (0.2 cores) stopped gunicorn (pid 4321) in 38 of 40 periods: "
        "its queue overflowed meanwhile, and 60 connections failed."
    )
    assert (verdicts["accept_thread_starved"], verdicts["accept_queue_overflow"]) == ("possible", "possible")


def test_one_that_others_keep_off_its_core_is_starved() -> None:
    assert judge(runs.held_by_quota(6, 0.5, waited_s=3.1)).cause == "accept_thread_starved"


def test_a_stopped_process_beside_a_busy_one_of_its_cgroup_is_not_held_back() -> None:
    run = runs.held_by_quota(ran_s=0.0, waited_s=0.0)
    assert alone("server_cpu_quota", run).verdict == "ruled_out"
    # It was held back until a signal stopped it.
    assert alone("server_cpu_quota", with_owners(runs.held_by_quota(), thread_states={"T": 2})).verdict == "ruled_out"
    assert alone("server_cpu_quota", with_owners(runs.held_by_quota(), thread_states={"T": 1, "R": 1})).verdict == (
        "confirmed"
    )


def piled_up(
    unclosed: int = 30, *, accepted: int = 400, limit: int = 40, drops: int = 240, ran_s: float = 0.8, stopped: int = 38
) -> RunResult:
    """Its descriptors are those of connections that its clients have closed; of all accepted it closed the others."""
    run = runs.held_by_quota(stopped, ran_s=ran_s, drops=drops)
    states = {"CLOSE-WAIT": unclosed, "ESTAB": 5}
    timeline = [
        runs.point(tenth / 10, queue_depth=0, server_states=states, server_fds=limit, passive_opens=accepted)
        for tenth in range(40)
    ]
    full = with_owners(run, fds=limit, nofile_soft=limit)
    failures = [*run.failures, runs.failure("read", "eof", 9)]
    return full.replace(timeline=timeline, funnel=run.funnel.replace(first_byte=accepted), failures=failures)


@pytest.mark.parametrize(
    ("run", "cause"),
    [
        (piled_up(), "server_cpu_quota"),
        (piled_up(drops=0), "server_cpu_quota"),
        (piled_up(20), "server_cpu_quota"),  # half of its descriptors
        (piled_up(19), "server_open_files"),  # what its clients keep took the others
        (piled_up(accepted=59), "server_open_files"),  # it closes next to none: it forgets to, or they come too fast
        (piled_up(ran_s=0.4), "server_open_files"),  # it had time left
        (piled_up(stopped=19), "server_open_files"),
    ],
)
def test_descriptors_that_it_had_no_cpu_to_close(run: RunResult, cause: str) -> None:
    said = judge(run)
    assert said.cause == cause
    if cause == "server_cpu_quota":
        assert "of its 40 descriptors were of connections that their clients had closed" in said.summary
        assert next(each for each in said.suspects if each.cause == "server_open_files").verdict == "possible"


def test_a_wider_quota_works_and_a_longer_queue_does_not() -> None:
    advice = server_cpu_quota.remedies(runs.held_by_quota())
    assert "CPUQuota=40%" in advice[1].command
    assert {("backlog" in each.command or "nice" in each.command): each.works for each in advice} == {
        False: True,
        True: False,
    }


# Snapshots -----------------------------------------------------------------------------------------------------------


def looked(run: RunResult, depth: int, drops: int) -> tuple[Snapshot, Snapshot]:
    """Two looks at the host of a run: so many wait at both, and so many were turned away in between."""
    ends = []
    for snapshot, turned_away in ((run.server.before, 0), (run.server.after, drops)):
        assert snapshot is not None
        counted = {
            "TcpExt.ListenOverflows": turned_away,
            "TcpExt.TCPDeferAcceptDrop": 0,
            "Tcp.PassiveOpens": 50 if turned_away else 0,
        }
        listeners = [at.replace(depth=depth, drops=turned_away) for at in snapshot.listeners or []]
        ends.append(snapshot.replace(counters=counted, listeners=listeners))
    return ends[0], ends[1]


@pytest.mark.parametrize(
    ("run", "depth", "drops", "expected"),
    [
        (runs.held_by_quota(), 8, 30, "confirmed"),
        (runs.held_by_quota(), 9, 0, "confirmed"),  # full at this moment
        (runs.held_by_quota(), 3, 0, "possible"),
        (runs.held_by_quota(10, 1.5, waited_s=1.5), 0, 0, "ruled_out"),
        (runs.held_by_quota(3, 0.2), 9, 30, "ruled_out"),
    ],
)
def test_two_looks_at_a_host(run: RunResult, depth: int, drops: int, expected: str) -> None:
    suspects = judge_snapshots(*looked(run, depth, drops)).suspects
    assert next(suspect.verdict for suspect in suspects if suspect.cause == "server_cpu_quota") == expected


def test_one_look_has_no_rate() -> None:
    suspects = judge_snapshots(None, looked(runs.held_by_quota(), 9, 0)[1]).suspects
    assert next(suspect.verdict for suspect in suspects if suspect.cause == "server_cpu_quota") == "not_observed"


def test_what_was_not_seen_at_both_times_is_not_judged() -> None:
    run = runs.held_by_quota()
    later = [Process(pid=9, name="new")]
    assert alone("server_cpu_quota", run.replace(server=run.server.replace(processes=later))).verdict == "not_observed"
