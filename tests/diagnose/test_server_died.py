"""A server's process that ended with what it had; and one that only closed."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.records import Listener, Process, RunResult


def listening(inode: int, *pids: int) -> list[Listener]:
    owners = [Process(pid=pid, name="python3") for pid in pids]
    return [Listener(family=4, address="127.0.0.1", port=5000, depth=0, limit=128, inode=inode, owners=owners)]


def refused(count: int, ended: int) -> RunResult:
    """A churn: what came after its end was refused."""
    run = runs.died(ended)
    return run.replace(failures=[*run.failures, runs.failure("connect", "ECONNREFUSED", count, 0.6)], command="churn")


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.died(), "confirmed"),
        (runs.died(now=listening(12, 4400)), "confirmed"),  # it was started again
        (runs.died(100, now=listening(11, 4400)), "confirmed"),  # one of its processes
        (runs.died(now=listening(11, 4321)), "ruled_out"),  # it went on
        (runs.died(3), "confirmed"),
        (runs.died(2), "possible"),
        (runs.died(span_s=(0.5, 1.5)), "confirmed"),
        (runs.died(span_s=(0.5, 1.51)), "possible"),  # closed one after another: it was told to end
        (refused(148, 20), "confirmed"),
        (refused(148, 0), "possible"),  # a listener that is closed, or its process
        (runs.died(0), "ruled_out"),
        (runs.died(server=runs.remote()), "not_observed"),
        (runs.run(), "ruled_out"),
        (runs.healthy_bench(), "ruled_out"),
        (runs.healthy_churn(), "ruled_out"),
        (runs.over_its_limit(), "ruled_out"),
    ],
)
def test_a_process_that_ended(run: RunResult, expected: str) -> None:
    assert alone("server_died", run).verdict == expected


def test_what_is_refused_after_it_is_its_doing() -> None:
    diagnosis = judge(refused(148, 20))
    assert diagnosis.cause == "server_died"
    assert "148 connects were refused" in diagnosis.summary
    assert "Explained" in next(s for s in diagnosis.suspects if s.cause == "nobody_listening").summary


def test_who_ended_is_named() -> None:
    assert "python3 (pid 4321)" in alone("server_died", runs.died()).summary
    assert "python3 (pid 4321)" in alone("server_died", runs.died(now=listening(11, 4400))).summary
