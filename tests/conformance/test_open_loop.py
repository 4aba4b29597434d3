"""The open loop, on both engines: what is due begins when it is due, and is timed from then."""

from __future__ import annotations

import pytest
from tests import servers
from tests.again import attempt
from tests.conformance.counts import assert_counts_add_up, failed

import estab
from estab import RunResult, Service
from estab.records import OpenLoop


def schedule(run: RunResult) -> OpenLoop:
    assert run.open_loop is not None
    return run.open_loop


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_requests_at_a_rate(arrivals: str) -> None:
    run = estab.bench(connections=20, duration_s=0.5, mode="rate", rate_per_s=2000, arrivals=arrivals)  # type: ignore[arg-type]
    loop = schedule(run)
    assert failed(run) == {}
    assert_counts_add_up(run)
    assert run.requests is not None
    assert run.requests.count == loop.scheduled
    assert loop.unsent == 0
    # Evenly it is exact; at random 1,000 come with a standard deviation of 32.
    spread = 2 if arrivals == "constant" else 200
    assert loop.scheduled == pytest.approx(1000, abs=spread)
    assert run.latency.request_us is not None
    assert run.latency.request_us.count == loop.scheduled
    assert run.requests.bytes == 64 * loop.scheduled


def test_the_rate_is_shared_by_the_workers() -> None:
    run = estab.bench(
        connections=9,
        duration_s=0.5,
        mode="rate",
        rate_per_s=900,
        arrivals="constant",
        options=estab.LoadOptions(processes=3),
        size_bytes=100_000,
    )
    assert schedule(run).scheduled == pytest.approx(450, abs=4)
    assert_counts_add_up(run)


def test_a_stall_is_seen_by_all_whom_it_keeps_waiting(request: pytest.FixtureRequest) -> None:
    """A pause of 0.4 s within 1.9 s: those due within it wait between 0.4 s and nothing, evenly.

    It comes 1.5 s after the server began: the load may begin more than a second later than that, and sees it once.
    """
    # Fewer at a later attempt: on a busy machine, under sanitizers, a thousand a second are more than are answered.
    rate_per_s = 1000 if attempt(request.node) == 1 else 200
    service = Service("echo", pause_s=0.4, pause_every_s=1.5)
    run = estab.bench(
        connections=rate_per_s // 2,
        duration_s=1.9,
        mode="rate",
        rate_per_s=rate_per_s,
        arrivals="constant",
        options=estab.LoadOptions(service=service),
    )
    latency = run.latency.request_us
    assert latency is not None
    assert latency.count == schedule(run).scheduled == pytest.approx(1.9 * rate_per_s, abs=2)
    assert latency.p50 is not None
    assert latency.p90 is not None
    assert latency.max is not None
    assert latency.p50 < 100_000  # four fifths came outside the pause
    # A busy machine makes a pause longer, and never shorter. Of those within it, half wait longer than half of it.
    assert latency.max > 340_000
    assert 140_000 < latency.p90 < 0.75 * latency.max


def test_what_was_never_sent_is_told() -> None:
    run = estab.bench(
        connections=2,
        duration_s=0.2,
        mode="rate",
        rate_per_s=1000,
        options=estab.LoadOptions(timeout_s=0.2, service=Service("sink")),
    )
    loop = schedule(run)
    assert failed(run) == {("read", "own_timeout"): 2}
    assert loop.scheduled == pytest.approx(200, abs=80)
    assert loop.unsent == loop.scheduled - 2
    assert run.latency.request_us is not None
    assert run.latency.request_us.count == loop.unsent
    assert_counts_add_up(run)


def test_more_than_can_be_served_waits() -> None:
    run = estab.churn(
        connections=2,
        duration_s=0.3,
        rate_per_s=1000,
        arrivals="constant",
        options=estab.LoadOptions(service=Service("echo", accept_delay_s=0.005)),
    )
    loop = schedule(run)
    assert run.funnel.attempted == loop.scheduled == pytest.approx(300, abs=2)
    assert loop.waited > 200
    assert run.latency.connect_us is not None
    assert run.latency.connect_us.count == run.funnel.connected
    assert run.latency.request_us is not None
    assert run.latency.request_us.max is not None
    assert run.latency.request_us.max > 500_000  # 300 accepts, 5 ms apart, of what was due within 0.3 s
    assert_counts_add_up(run)


def test_connects_at_a_rate() -> None:
    run = estab.churn(connections=50, duration_s=0.5, rate_per_s=1000, arrivals="constant")
    assert failed(run) == {}
    assert run.funnel.completed == run.funnel.attempted == pytest.approx(500, abs=3)
    assert_counts_add_up(run)
    # On a busy machine our own lateness is all there is to blame.
    assert run.diagnosis is not None
    assert run.diagnosis.cause in (None, "generator_saturated")


def test_a_rate_of_connects_that_are_refused_is_bounded_by_its_slots() -> None:
    run = estab.churn(f"127.0.0.1:{servers.closed_port()}", connections=3, duration_s=0.3, rate_per_s=10_000)
    assert failed(run) == {("connect", "ECONNREFUSED"): run.funnel.attempted}
    assert_counts_add_up(run)


def test_connections_that_are_all_refused_end_the_run() -> None:
    run = estab.bench(f"127.0.0.1:{servers.closed_port()}", connections=3, duration_s=30, mode="rate", rate_per_s=1000)
    assert run.elapsed_s < 15
    assert failed(run) == {("connect", "ECONNREFUSED"): 3}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"mode": "rate"}, "needs a rate"),
        ({"mode": "rr", "rate_per_s": 10}, "goes with `mode` rate"),
        ({"mode": "rate", "rate_per_s": 0}, "`rate_per_s` is 0"),
        ({"mode": "rate", "rate_per_s": 10, "depth": 2}, "one request at a time"),
        ({"mode": "rate", "rate_per_s": 10, "arrivals": "bursty"}, "poisson or constant"),
        ({"mode": "rate", "rate_per_s": float("nan")}, "`rate_per_s` is nan"),
    ],
)
def test_what_cannot_be_asked(asked: dict[str, object], said: str) -> None:
    with pytest.raises(estab.UsageError, match=said):
        estab.bench(duration_s=0.1, **asked)  # type: ignore[arg-type]


def test_a_trickle_over_held_connections() -> None:
    run = estab.hold(connections=40, duration_s=0.5, trickle_per_s=400, size_bytes=100)
    loop = schedule(run)
    assert failed(run) == {}
    assert run.funnel.completed == run.funnel.first_byte == 40  # each had its turn
    assert run.requests is not None
    assert run.requests.count == loop.scheduled
    assert 120 <= loop.scheduled <= 400 * run.elapsed_s + 80  # at random: 200 with a standard deviation of 14
    assert run.requests.bytes == 100 * loop.scheduled
    assert_counts_add_up(run)


def test_visitors_beside_held_connections() -> None:
    run = estab.hold(connections=30, duration_s=0.5, churn_rate_per_s=400)
    came = run.visitors
    assert came is not None
    assert failed(run) == {}
    assert came.funnel.attempted == came.funnel.completed
    assert 120 <= came.funnel.attempted <= 400 * run.elapsed_s + 80
    assert run.funnel.attempted == 30 + came.funnel.attempted
    assert came.latency.connect_us is not None
    assert came.latency.connect_us.count == came.funnel.connected
    assert came.open_loop is not None
    assert came.open_loop.scheduled == came.funnel.attempted
    assert run.open_loop is None
    assert run.ghosts is not None
    assert run.ghosts.count == 0
    assert_counts_add_up(run)
