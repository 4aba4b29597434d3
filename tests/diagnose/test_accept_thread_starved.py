from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.records import Process, RunResult


def owned(name: str, cpu_s: float) -> RunResult:
    """As `starved`, by a server of this name."""
    base = runs.starved(cpu_s)
    processes = [p.replace(name=name) for p in base.server.processes or []]
    return base.replace(server=base.server.replace(processes=processes))


def uncounted(cpu_s: float) -> RunResult:
    """As `starved`, where neither the counters nor the listener's drops were read."""
    base = runs.starved(cpu_s)
    watch = runs.watch(limit=16, worst_depth=17, last_depth=13, drops=None, queued_at_end=13, accepted_at_end=60)
    return base.replace(server=base.server.replace(deltas=None, listener=watch))


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.starved(6.2), "confirmed"),  # 3.1 s on two cores
        (runs.starved(5.6), "confirmed"),
        (uncounted(6.2), "possible"),  # whether the queue overflowed was not seen
        (runs.starved(5.5), "ruled_out"),
        (runs.starved(0.1), "ruled_out"),
        (owned("python3", 3.0), "confirmed"),  # one interpreter lock: one core is all
        (owned("python3", 2.7), "ruled_out"),
        (owned("app", 3.0), "ruled_out"),
        (runs.overflowed(), "not_observed"),  # CPU not read
        (runs.stalled(), "ruled_out"),  # nothing accepted at all
        (runs.run(), "ruled_out"),
        (runs.run(server=runs.remote()), "not_observed"),
        # All of the CPU, but on accepting: 6.2 s for 45,630 connections.
        (
            runs.starved(6.2).replace(funnel=runs.funnel(46_000, 45_630, accepted=45_000)),
            "ruled_out",
        ),
    ],
)
def test_a_starved_accepting_thread(run: RunResult, expected: str) -> None:
    assert alone("accept_thread_starved", run).verdict == expected


def test_cpu_of_a_process_that_was_not_there_before_is_not_known() -> None:
    base = runs.starved()
    other = [Process(pid=9, name="new", fds=3, nofile_soft=64, cpu_s=99.0)]
    run = base.replace(server=base.server.replace(processes=other))
    assert alone("accept_thread_starved", run).verdict == "not_observed"
