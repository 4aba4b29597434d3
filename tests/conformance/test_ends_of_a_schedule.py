"""The ends of an open loop, on both engines: what was asked for, what could not begin, and nothing else, is counted."""

from __future__ import annotations

from tests.conformance.counts import assert_counts_add_up, failed
from tests.conformance.test_engines import own_server, run_under

import estab
from estab import Service


def test_connects_beyond_those_asked_for_were_never_due() -> None:
    """Ten connects take 0.1 s, in which 2,000 would have been due if more had been asked for."""
    run = estab.churn(
        connections=2, attempts=10, rate_per_s=20_000, arrivals="constant", duration_s=5,
        options=estab.LoadOptions(service=Service("echo", accept_delay_s=0.02)),
    )  # fmt: skip
    assert run.open_loop is not None
    assert run.open_loop.scheduled == run.funnel.attempted == run.funnel.completed == 10
    assert run.open_loop.unsent == 0
    assert run.latency.connect_us is not None
    assert run.latency.connect_us.count == 10
    assert_counts_add_up(run)


def test_a_rate_of_connects_without_descriptors() -> None:
    """A stalled server keeps each connection; those that find no descriptor fail, and all that was due is counted."""
    with own_server(Service("sink")) as target:
        run = run_under(
            64,
            f"estab.churn({target!r}, connections=300, size_bytes=9, duration_s=0.3, rate_per_s=2000, "
            "options=estab.LoadOptions(timeout_s=0.2))",
        )
    counts = failed(run)
    assert counts[("connect", "EMFILE")] > 0
    assert run.open_loop is not None
    assert run.open_loop.scheduled == run.funnel.attempted + run.open_loop.unsent
    assert run.latency.connect_us is not None
    assert run.latency.connect_us.count == run.funnel.connected + run.open_loop.unsent
    assert_counts_add_up(run)


def test_a_schedule_whose_connections_all_fail() -> None:
    """Each is closed after its first answer, long before its turn comes again; what was due later was never sent."""
    run = estab.bench(
        connections=20, duration_s=1.5, mode="rate", rate_per_s=20, arrivals="constant", size_bytes=100,
        options=estab.LoadOptions(service=Service("echo", close_after_bytes=100)),
    )  # fmt: skip
    assert failed(run) == {("read", "eof"): 20}
    assert run.open_loop is not None
    assert run.requests is not None
    assert run.requests.count == 20
    assert run.latency.request_us is not None
    assert run.latency.request_us.count == 20 + run.open_loop.unsent
    # Where a close is read later than the next request is due, that one goes out on the last connection and is lost.
    assert run.open_loop.scheduled - run.latency.request_us.count in (0, 1)
    assert_counts_add_up(run)
