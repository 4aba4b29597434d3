"""A program that closes what was silent for so long: all at one age, by a server that goes on."""

from __future__ import annotations

import math

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.diagnose.suspects import BY_ID
from estab.records import Failure, Latency, RunResult

QUEUED = runs.local(runs.watch(worst_depth=50))


def ramped(first_s: float, last_s: float) -> RunResult:
    """The last of 400 connects was made after 2 s."""
    timeline = [
        runs.point(tenth / 10, attempted=20 * tenth, connected=20 * tenth, open=20 * tenth) for tenth in range(1, 21)
    ]
    return runs.closed_silent(
        span_s=(first_s, last_s), timeline=[*timeline, runs.point(4.0, attempted=400, connected=400)]
    )


def by_reset() -> Failure:
    return runs.failure("read", "ECONNRESET", 400, 1.01).replace(last_s=1.03)


def late_samples(first_s: float, last_s: float) -> RunResult:
    """A busy machine: all connected within a millisecond, and the first sample came after 2.6 s."""
    return runs.closed_silent(
        span_s=(first_s, last_s), timeline=[runs.point(2.6, attempted=400, connected=400, open=380)],
        latency=Latency(connect_us=runs.percentiles(61.0).replace(max=1039.0)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.closed_silent(), "confirmed"),
        (runs.closed_silent(span_s=(0.5, 0.6)), "confirmed"),
        (runs.closed_silent(span_s=(0.49, 0.6)), "ruled_out"),
        (runs.closed_silent(span_s=(1.0, 1.6)), "confirmed"),
        (runs.closed_silent(span_s=(1.0, 1.7)), "possible"),  # redis looks at some of its clients ten times a second
        (runs.closed_silent(span_s=(1.0, 2.2)), "ruled_out"),
        (runs.closed_silent(360), "confirmed"),
        (runs.closed_silent(359), "ruled_out"),  # too many were as old, and stayed
        (ramped(1.0, 3.0), "confirmed"),  # each a second after its own connect
        (ramped(3.0, 3.0), "ruled_out"),  # all at one moment, whatever their age
        (runs.closed_silent(own_connects=400), "possible"),  # a proxy that gave up waiting for its backend
        (runs.closed_silent(server=runs.remote()), "possible"),
        (runs.closed_silent(config={"trickle_per_s": 50}), "not_observed"),
        (runs.closed_silent().replace(command="bench"), "not_observed"),
        (runs.closed_silent(failures=[runs.failure("read", "eof", 400, 1.0)]), "not_observed"),
        (runs.closed_silent(failures=[by_reset()], own_resets=400), "confirmed"),
        (runs.closed_silent(failures=[by_reset()], own_resets=399), "possible"),  # a firewall that forgot them
        (late_samples(2.04, 2.63), "confirmed"),
        # Others waited for accept() meanwhile: their age since then is not seen.
        (runs.closed_silent(span_s=(0.1, 0.7), server=QUEUED), "possible"),
        (runs.closed_silent(span_s=(0.09, 0.7), server=QUEUED), "ruled_out"),
        (runs.closed_silent(span_s=(0.1, 0.6), server=QUEUED), "ruled_out"),
        (runs.closed_silent(0), "ruled_out"),
        (runs.over_its_limit(), "not_observed"),
        (runs.run(), "ruled_out"),
    ],
)
def test_what_is_closed_for_being_silent(run: RunResult, expected: str) -> None:
    assert alone("server_idle_close", run).verdict == expected


ONE_MOMENT = (
    runs.ended(1, closed=2).replace(answered=6, least_s=0.2, most_s=0.4, first_s=8.0, last_s=8.05),
    runs.ended(10, closed=2).replace(least_s=7.0, most_s=7.9, first_s=8.0, last_s=8.05),
)
RESET = (runs.borne(1), runs.ended(10, reset=2))


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.closed_at_rest(), "confirmed"),
        (runs.closed_at_rest(server=runs.remote()), "confirmed"),  # a FIN after a rest, while others go on: no path's
        (runs.rested(runs.borne(1), runs.borne(60)), "ruled_out"),
        (runs.forgotten(), "ruled_out"),
        (runs.forgotten(reset=True), "ruled_out"),
        (runs.rested(*ONE_MOMENT), "ruled_out"),  # a restart, a reload, a death
        (runs.rested(*RESET, server=runs.rested_at(4, 2)), "confirmed"),
        (runs.rested(*RESET, server=runs.rested_at(4, 1)), "possible"),
        (runs.rested(*RESET, server=runs.remote()), "possible"),  # a firewall may tell both ends by RST
        (runs.rested(runs.ended(10, closed=2)), "confirmed"),  # no shorter rest beside it, but the server went on
        (runs.rested(runs.ended(10, closed=2), server=runs.remote()), "possible"),
        (runs.rested(runs.ended(10, closed=2).replace(least_s=0.1, most_s=0.1)), "ruled_out"),  # it keeps nothing
        (runs.rested(runs.borne(1), runs.ended(30, closed=2).replace(most_s=8.1)), "confirmed"),
        (runs.rested(runs.borne(1), runs.ended(30, closed=2).replace(most_s=8.2)), "possible"),
        (runs.rested(runs.borne(1), runs.ended(10, closed=2), runs.ended(30, silent=2)), "possible"),
    ],
)
def test_what_is_closed_after_a_rest(run: RunResult, expected: str) -> None:
    assert alone("server_idle_close", run).verdict == expected


def test_the_rest_that_is_borne_is_told() -> None:
    said = judge(runs.closed_at_rest())
    assert said.cause == "server_idle_close"
    assert "after a rest of 7.0 to 7.1 s, and those that rested for 5 s were answered" in said.summary
    assert said.accused is not None
    assert "below 7.0 s" in said.accused.remedies[0].command
    assert said.accused.remedies[0].changes[0].kind == "idle_shorter"


def test_a_server_that_ended_closed_nothing_for_being_silent() -> None:
    assert alone("server_idle_close", runs.died(span_s=(1.01, 1.03))).verdict == "possible"
    assert judge(runs.died(span_s=(1.01, 1.03))).cause == "server_died"


def test_the_time_is_told() -> None:
    diagnosis = judge(runs.closed_silent())
    assert "after 1.0 s" in diagnosis.summary
    winner = next(s for s in diagnosis.suspects if s.cause == "server_idle_close")
    assert "below 1.0 s" in winner.remedies[0].command


@pytest.mark.parametrize("age_s", [math.nan, math.inf])
def test_of_a_time_that_is_none_no_setting_is_computed(age_s: float) -> None:
    remedies = BY_ID["server_idle_close"].remedies(runs.closed_silent(span_s=(age_s, age_s)))
    assert [remedy.command for remedy in remedies if "nan" in remedy.command or "inf" in remedy.command] == []
