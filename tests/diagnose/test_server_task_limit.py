"""The server is refused processes or threads, by its cgroup or by RLIMIT_NPROC."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.diagnose.suspects import server_task_limit
from estab.records import Process, RunResult, Snapshot, Tasks


def unlimited() -> RunResult:
    """Its owner was looked at closely, and no limit holds for it."""
    run = runs.short_of_tasks()
    processes = [process.replace(tasks=None) for process in run.server.processes or []]
    return run.replace(server=run.server.replace(processes=processes))


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.short_of_tasks(), "confirmed"),
        (runs.short_of_tasks(1), "confirmed"),
        (runs.short_of_tasks(0), "ruled_out"),  # as many as it may have, and none was refused
        (runs.short_of_tasks(ended=0, waiting=37), "confirmed"),
        (runs.short_of_tasks(ended=0), "ruled_out"),  # nobody suffered
        (runs.short_of_tasks(user=(24, 24)), "confirmed"),
        (runs.short_of_tasks(user=(25, 24)), "confirmed"),
        (runs.short_of_tasks(user=(23, 24)), "ruled_out"),
        (unlimited(), "ruled_out"),
        (runs.over_its_limit(), "not_observed"),
        (runs.run(server=runs.remote()), "not_observed"),
    ],
)
def test_a_server_that_is_refused_tasks(run: RunResult, expected: str) -> None:
    assert alone("server_task_limit", run).verdict == expected


def test_what_another_cgroup_counted_is_not_this_ones() -> None:
    run = runs.short_of_tasks()
    moved = Tasks(cgroup="/sys/fs/cgroup/pids/other", cgroup_most=24, in_cgroup=24, refused=99)
    processes = [process.replace(tasks=moved) for process in run.server.processes or []]
    assert (
        alone("server_task_limit", run.replace(server=run.server.replace(processes=processes))).verdict == "ruled_out"
    )


def test_it_is_named_in_place_of_a_limit_of_connections() -> None:
    said = judge(runs.short_of_tasks())
    verdicts = {suspect.cause: suspect.verdict for suspect in said.suspects}
    assert (said.cause, verdicts["server_connection_limit"]) == ("server_task_limit", "possible")
    assert said.summary.startswith(
        "37 processes or threads were refused to sshd (pid 4321): its cgroup may have 24 (pids.max): "
        "37 connections timed out or ended early."
    )
    of_user = judge(runs.short_of_tasks(user=(24, 24)))
    assert "The user of sshd (pid 4321) has all 24 processes and threads that RLIMIT_NPROC allows" in of_user.summary


def test_a_limit_of_connections_beside_a_limit_of_tasks_that_refused_nothing() -> None:
    assert judge(runs.short_of_tasks(0)).cause == "server_connection_limit"


@pytest.mark.parametrize(
    ("run", "command"),
    [
        (runs.short_of_tasks(), "TasksMax=512"),
        (runs.short_of_tasks(user=(24, 24)), "prlimit --pid 4321 --nproc=512:512"),
    ],
)
def test_the_limit_that_was_met_is_raised(run: RunResult, command: str) -> None:
    first, *others = server_task_limit.remedies(run)
    assert (first.works, first.command.startswith(command)) == (True, True)
    assert [each.works for each in others if "backlog" in each.command or "ulimit -n" in each.command] == [False, False]


# Snapshots -----------------------------------------------------------------------------------------------------------


def looked(run: RunResult) -> tuple[Snapshot, Snapshot]:
    before, after = run.server.before, run.server.after
    assert before is not None
    assert after is not None
    return before, after


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.short_of_tasks(waiting=3), "confirmed"),
        (runs.short_of_tasks(), "possible"),
        (runs.short_of_tasks(0, waiting=3), "ruled_out"),
        (runs.short_of_tasks(user=(24, 24), waiting=3), "confirmed"),
        (runs.short_of_tasks(user=(24, 24)), "ruled_out"),
        (runs.leaking(), "not_observed"),
    ],
)
def test_two_looks_at_a_host(run: RunResult, expected: str) -> None:
    suspects = judge_snapshots(*looked(run)).suspects
    assert next(suspect.verdict for suspect in suspects if suspect.cause == "server_task_limit") == expected


def test_one_look_tells_a_full_queue_of_a_user_without_tasks() -> None:
    after = looked(runs.short_of_tasks(user=(24, 24), waiting=129))[1]
    suspects = judge_snapshots(None, after).suspects
    assert next(suspect.verdict for suspect in suspects if suspect.cause == "server_task_limit") == "confirmed"


def test_an_owner_without_limits_is_ruled_out() -> None:
    owner = Process(pid=7, name="server", thread_states={"S": 1})
    before, after = (
        taken.replace(listeners=[at.replace(owners=[owner]) for at in taken.listeners or []])
        for taken in looked(runs.short_of_tasks())
    )
    suspects = judge_snapshots(before, after).suspects
    assert next(suspect.verdict for suspect in suspects if suspect.cause == "server_task_limit") == "ruled_out"
