from __future__ import annotations

from pathlib import Path

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose import judge
from estab.diagnose.suspects import generator_saturated
from estab.diagnose.suspects.generator_saturated import TAKEN_FIRST
from estab.records import OpenLoop, RunResult


def late(lag_ms: float | None, timeout_s: float | None = 1.0, own: int = 20) -> RunResult:
    failures = [runs.failure("connect", "own_timeout", own)] if own else []
    return runs.run(
        config={"timeout_s": timeout_s, "in_flight": 2000},
        failures=failures,
        client={"workers": [runs.worker(worst_lag_ms=lag_ms)]},
    )


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (late(499.0), "possible"),
        (late(500.0), "confirmed"),
        (late(99.0), "ruled_out"),
        (late(100.0), "possible"),
        (late(5000.0, own=0), "ruled_out"),  # late, but nothing failed of it
        (late(None), "not_observed"),
        (late(None, own=0), "ruled_out"),
        (late(500.0, timeout_s=None), "not_observed"),
        (late(500.0, timeout_s=0), "not_observed"),
        (late(float("nan")), "not_observed"),
    ],
)
def test_own_timeouts_beside_our_own_lag(run: RunResult, expected: str) -> None:
    assert alone("generator_saturated", run).verdict == expected


@pytest.mark.parametrize(
    ("own", "waited_s", "expected"),
    [
        (20, 0.4, "confirmed"),  # 522 at once, 512 of them are taken first, and late for half a second once at most
        (21, 0.4, "possible"),  # 20 of them, not all
        (21, 0.51, "confirmed"),
        (21, None, "confirmed"),  # how often we were late is not known
    ],
)
def test_no_more_than_were_under_way_when_we_were_late(own: int, waited_s: float | None, expected: str) -> None:
    worker = runs.worker(worst_lag_ms=800.0, cpu_s=0.5, waited_s=waited_s)
    config = {"timeout_s": 1.0, "in_flight": TAKEN_FIRST + 10}
    run = late(800.0, own=own).replace(config=config, client=runs.run(client={"workers": [worker]}).client)
    assert alone("generator_saturated", run).verdict == expected


@pytest.mark.parametrize("cpu_s", [0.5, None])
def test_what_a_worker_takes_before_it_looks_at_the_clock_is_not_ended(cpu_s: float | None) -> None:
    worker = runs.worker(worst_lag_ms=5000.0, cpu_s=cpu_s, waited_s=9.0)
    run = late(5000.0, own=206).replace(
        config={"timeout_s": 1.0, "in_flight": TAKEN_FIRST}, client=runs.run(client={"workers": [worker]}).client
    )
    suspect = alone("generator_saturated", run)
    assert suspect.verdict == "ruled_out"
    assert "late by 500% of the timeout, but took every answer" in suspect.summary
    other = runs.run(client={"workers": [worker, worker]}).client
    both = run.replace(config={"timeout_s": 1.0, "in_flight": 2 * TAKEN_FIRST}, client=other)
    assert alone("generator_saturated", both).verdict == "ruled_out"


def test_a_rate_that_was_missed_is_no_cause_of_connects_that_got_no_answer() -> None:
    """30 of 1,000 connects timed out before their SYN was sent again; a busy machine kept us from the rate as well."""
    missed = paced(700, 0.99).replace(failures=[runs.failure("connect", "own_timeout", 30)])
    run = missed.replace(config={**missed.config, "timeout_s": 0.5, "in_flight": 200})
    assert alone("generator_saturated", run).verdict == "confirmed"
    assert generator_saturated.failures(run) == 0
    assert judge(run).cause is None


def test_the_engine_takes_so_many() -> None:
    header = Path("src/estab/_engine/client.h").read_text(encoding="utf-8")
    assert f"#define MAX_EVENTS {TAKEN_FIRST}\n" in header


def paced(reached_per_s: float, cpu: float | None, attempted: int = 1000) -> RunResult:
    """1,000 connects a second were asked for."""
    timeline = [runs.point(0.0), runs.point(attempted / reached_per_s, attempted=attempted)]
    return runs.run(
        config={"ramp_per_s": 1000.0, "connections": attempted},
        funnel=runs.funnel(attempted, attempted),
        timeline=timeline,
        client={"workers": [runs.worker(cpu_fraction=cpu)]},
    )


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (paced(1000, 0.99), "ruled_out"),
        (paced(700, 0.99), "confirmed"),
        (paced(700, 0.91), "confirmed"),
        (paced(700, 0.9), "ruled_out"),  # it was missed, but not for lack of CPU
        (paced(700, None), "not_observed"),
        (paced(910, 0.99), "ruled_out"),
        (paced(700, 0.99, attempted=300), "ruled_out"),  # 0.13 s behind: within what samples can tell
    ],
)
def test_a_rate_that_was_asked_for(run: RunResult, expected: str) -> None:
    assert alone("generator_saturated", run).verdict == expected


def test_a_closed_loop_at_full_cpu_is_no_fault() -> None:
    suspect = alone("generator_saturated", runs.healthy_bench())
    assert suspect.verdict == "ruled_out"
    assert any("99% of a core: throughput is bound by CPU" in e.text for e in suspect.evidence)


def scheduled(
    late: int = 0, waited: int = 0, unsent: int = 0, cpu: float | None = 0.5, worst_late_ms: float = 11.0
) -> RunResult:
    """An open loop in which 1,000 requests were due."""
    loop = OpenLoop(
        rate_per_s=1000,
        arrivals="poisson",
        scheduled=1000,
        late=late,
        worst_late_ms=worst_late_ms,
        waited=waited,
        unsent=unsent,
    )
    return runs.run("bench", open_loop=loop, client={"workers": [runs.worker(cpu_fraction=cpu)]})


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (scheduled(), "ruled_out"),
        (scheduled(late=900), "ruled_out"),  # late, but all of it was done: a note on the latencies
        (scheduled(late=50, unsent=21), "ruled_out"),
        (scheduled(late=51, unsent=20), "ruled_out"),
        (scheduled(late=51, unsent=21), "confirmed"),
        (scheduled(late=51, unsent=21, worst_late_ms=10.4), "ruled_out"),  # 21 ms behind: its places were taken
        (scheduled(waited=900), "ruled_out"),  # all connections were busy: the server's slowness, or too few of them
        (scheduled(waited=900, cpu=0.95), "ruled_out"),  # and yet each was served
        (scheduled(unsent=21, cpu=0.95), "confirmed"),
        (scheduled(unsent=20, cpu=0.95), "ruled_out"),
        (scheduled(unsent=900), "ruled_out"),  # with CPU to spare and on time: the server was too slow
        (scheduled(unsent=900, cpu=None), "not_observed"),
    ],
)
def test_the_schedule_of_an_open_loop(run: RunResult, expected: str) -> None:
    assert alone("generator_saturated", run).verdict == expected


@pytest.mark.parametrize(
    ("cpu_s", "waited_s", "expected"),
    [
        # 100 of 1,000 were begun in 2 s: at 1,000/s they would need 10 times the CPU that they took, each second.
        (0.06, 1.0, "confirmed"),  # 0.6 cores needed, and others left half a core
        (0.04, 1.0, "ruled_out"),  # 0.4 cores needed
        (0.06, 0.5, "ruled_out"),  # three quarters of a core were left
        (0.06, 0.05, "ruled_out"),  # it ran longer than it waited
        (0.06, None, "ruled_out"),
    ],
)
def test_a_schedule_that_needs_more_than_others_left(cpu_s: float, waited_s: float | None, expected: str) -> None:
    run = scheduled(unsent=900, cpu=0.05).replace(elapsed_s=2.0)
    worker = runs.worker(cpu_fraction=0.05, cpu_s=cpu_s, waited_s=waited_s)
    run = run.replace(client=run.client.replace(workers=[worker]))
    assert alone("generator_saturated", run).verdict == expected


def test_lateness_that_cost_nothing_is_said_and_not_accused() -> None:
    said = alone("generator_saturated", scheduled(late=300)).summary
    assert said.startswith("300 of 1,000 began late")
    assert said.endswith("nothing failed by it.")


def test_a_syn_that_the_kernel_sent_again_was_not_ended_by_our_lag() -> None:
    resent = late(3000.0, timeout_s=3.0).replace(funnel=runs.funnel(20, 0), syn_retransmits={"1": 15})
    suspect = alone("generator_saturated", resent)
    assert suspect.verdict == "confirmed"
    assert "all 5 timeouts" in suspect.summary
    assert alone("generator_saturated", resent.replace(syn_retransmits={"2": 20})).verdict == "ruled_out"


@pytest.mark.parametrize(
    ("worst_late_ms", "elapsed_s", "expected"),
    [(7.0, 4.0, "ruled_out"), (220.0, 4.0, "ruled_out"), (230.0, 4.0, "confirmed"), (560.0, 2.01, "ruled_out")],
)
def test_what_all_began_in_time_missed_no_rate_however_late_a_sample_came(
    worst_late_ms: float, elapsed_s: float, expected: str
) -> None:
    loop = OpenLoop(
        rate_per_s=80, arrivals="poisson", scheduled=160, late=25, worst_late_ms=worst_late_ms, waited=0, unsent=0
    )
    run = runs.run(
        "churn", config={"rate_per_s": 80.0}, elapsed_s=elapsed_s, drain_s=elapsed_s - 2.0, open_loop=loop,
        funnel=runs.funnel(160, 160), timeline=[runs.point(3.2, attempted=160, connected=160)],
    )  # fmt: skip
    assert alone("generator_saturated", run).verdict == expected
