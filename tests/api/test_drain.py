"""A rate is over the time in which load was begun: waiting for what was left is a drain, and told apart."""

from __future__ import annotations

import pytest

import estab
from estab.compare.figures import kinds_for
from estab.load.serving import serving


def test_the_drain_is_no_part_of_a_rate() -> None:
    """A server that never accepts: the last connects wait for an answer for as long as the timeout lets them."""
    with serving(estab.Service("stall", backlog=512)) as (_servers, address):
        run = estab.churn(
            f"{address[0]}:{address[1]}", connections=400, duration_s=2, size_bytes=1, rate_per_s=50,
            arrivals="constant", options=estab.LoadOptions(timeout_s=1.5),
        )  # fmt: skip
    assert run.drain_s is not None
    assert 1 < run.drain_s < 4
    assert run.elapsed_s == pytest.approx(2 + run.drain_s, abs=0.05)
    assert run.load_s == pytest.approx(2, abs=0.05)
    connects = next(kind for kind in kinds_for([run]) if kind.name == "connects_per_s")
    assert connects.read(run) == pytest.approx(50, rel=0.05)


def test_holding_has_no_drain() -> None:
    run = estab.hold(connections=3, duration_s=0.1)
    assert run.drain_s is None
    assert run.load_s == run.elapsed_s


def test_a_record_that_does_not_tell_is_read_by_what_was_asked() -> None:
    run = estab.churn(connections=2, duration_s=0.2).replace(drain_s=None, elapsed_s=5.0)
    assert run.load_s == pytest.approx(0.2)
