"""A run that shows a busy machine says nothing of the kernel: the setup is run again."""

from __future__ import annotations

import pytest
from tests.diagnose import runs

from estab.lab.stage.in_time import too_slow
from estab.lab.stage.setup import LoadSpec, Setup
from estab.lab.wire.spec import WireReport
from estab.records import Diagnosis, Process, RunResult
from estab.records.snapshot import Thread

LOAD = LoadSpec(connections=10, duration_s=1)
SETUP = Setup(load=LOAD)


def starved(waited_s: float, *, embedded: bool = True, cause: str | None = "accept_thread_starved") -> RunResult:
    thread = Thread(tid=7, state="S", ran_ns=5_000_000, waited_ns=int(waited_s * 1e9))
    server = runs.local(processes=[Process(pid=7, threads=[thread])], embedded=embedded)
    return runs.run(server=server, diagnosis=Diagnosis(cause=cause, summary="x"))


def test_a_server_of_ours_that_had_no_core_says_nothing() -> None:
    assert too_slow(SETUP, starved(0.3), WireReport()) == (
        "the server waited for a core for 0.3 s: this machine is too busy"
    )


@pytest.mark.parametrize(
    ("setup", "run"),
    [
        (SETUP, starved(0.3, cause="accept_queue_overflow")),  # it had one when it mattered
        (SETUP, starved(0.01)),  # what is said of it is wrong, and is to be seen
        (SETUP, starved(0.3, embedded=False)),  # whose threads take the core from one another
        (Setup(load=LOAD, burners=8), starved(0.3)),  # what it is about
    ],
)
def test_what_is_said_of_a_server_counts_otherwise(setup: Setup, run: RunResult) -> None:
    assert too_slow(setup, run, WireReport()) is None
