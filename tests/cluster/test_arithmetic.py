"""What is pure: shares, clocks, parts, and what becomes of the hosts' numbers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estab.api.churn import ChurnRequest
from estab.api.hold import HoldRequest
from estab.cluster import clock, merge, shares, timeline
from estab.cluster.clock import ClockExchange
from estab.cluster.members import assign, read
from estab.cluster.timeline import Track
from estab.errors import MachineError, ReadError, UsageError
from estab.kernel.formats import hdr
from estab.records import ArrivalOrder, Percentiles, ServerSample, TimelinePoint
from estab.records.cluster import Clock


def point(t_s: float, connected: int, **more: int) -> TimelinePoint:
    none = dict.fromkeys(("attempted", "first_byte", "completed", "failed", "open", "requests"), 0)
    return TimelinePoint(t_s=t_s, connected=connected, **{**none, **more})


# Shares ------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 10_000_000), st.integers(1, 200))
def test_shares_add_up_and_differ_by_one_at_most(connections: int, hosts: int) -> None:
    parts = [request.connections for request in shares.split(HoldRequest(connections=connections), hosts)]
    assert sum(parts) == connections
    assert len(parts) == min(connections, hosts)
    assert max(parts) - min(parts) <= 1


@given(st.integers(1, 1_000), st.integers(1, 20), st.floats(1.0, 1e6))
def test_rates_add_up(connections: int, hosts: int, rate: float) -> None:
    parts = shares.split(HoldRequest(connections=connections, churn_rate_per_s=rate), hosts)
    assert sum(request.churn_rate_per_s or 0 for request in parts) == pytest.approx(rate)
    assert {request.ramp_per_s for request in parts} == {None}


def test_counts_are_shared_and_times_are_not() -> None:
    parts = shares.split(HoldRequest(connections=10, in_flight=5, duration_s=3.0), 3)
    assert [request.connections for request in parts] == [4, 3, 3]
    assert [request.in_flight for request in parts] == [2, 2, 1]
    assert {request.duration_s for request in parts} == {3.0}


def test_attempts_without_a_bound_have_none_anywhere() -> None:
    assert [request.attempts for request in shares.split(ChurnRequest(connections=10), 3)] == [0, 0, 0]
    assert [request.attempts for request in shares.split(ChurnRequest(connections=10, attempts=2), 3)] == [1, 1, 1]


def test_no_host_is_left_without_a_connect_in_flight() -> None:
    assert [request.in_flight for request in shares.split(HoldRequest(connections=10, in_flight=1), 3)] == [1, 1, 1]


# Clocks ------------------------------------------------------------------------------------------------------------


@given(st.floats(-100, 100), st.lists(st.tuples(st.floats(0, 0.1), st.floats(0, 0.1)), min_size=1, max_size=8))
def test_the_error_of_a_clock_is_at_most_its_uncertainty(ahead: float, ways: list[tuple[float, float]]) -> None:
    found = clock.best([ClockExchange(1.0, 1.0 + there + ahead, 1.0 + there + back) for there, back in ways])
    assert abs(found.offset_ms / 1e3 - ahead) <= found.uncertainty_ms / 1e3 + 2e-6


def test_a_clock_is_corrected_only_where_it_is_provably_off() -> None:
    assert clock.correction_s(Clock(offset_ms=0.5, uncertainty_ms=0.6, samples=1)) == 0.0
    assert clock.correction_s(Clock(offset_ms=-700.0, uncertainty_ms=0.6, samples=1)) == -0.7


def test_skew_is_by_the_clock_of_whoever_asked() -> None:
    ahead = Clock(offset_ms=2_000.0, uncertainty_ms=1.0, samples=1)
    assert clock.skew_ms(102.001, ahead, 100.0) == pytest.approx(1.0)
    assert clock.spread_ms([1.0]) is None
    assert clock.spread_ms([1.0, -0.5, 0.25]) == 1.5
    assert clock.uncertainty_ms([ahead]) is None
    assert clock.uncertainty_ms([ahead, ahead.replace(uncertainty_ms=0.25)]) == 1.25


# Who takes part ----------------------------------------------------------------------------------------------------


def worker(host: str, name: str = "", server: bool = False) -> dict[str, object]:
    return {"host": host, "name": name, "resources": {"estab-server": 1.0} if server else {}}


def test_one_generator_a_host_and_none_on_the_servers() -> None:
    told = {
        "tcp://10.0.0.1:1": worker("10.0.0.1", "one"),
        "tcp://10.0.0.1:2": worker("10.0.0.1", "two"),
        "tcp://10.0.0.2:1": worker("10.0.0.2", "tcp://10.0.0.2:1"),
        "tcp://10.0.0.3:1": worker("10.0.0.3", "seer", server=True),
        "tcp://10.0.0.3:2": worker("10.0.0.3", "beside"),
    }
    parts = assign(read(told), "tcp://s:8786")
    assert [one.name for one in parts.generators] == ["one", "10.0.0.2"]
    assert parts.server is not None
    assert parts.server.name == "seer"
    assert dict(parts.idle) == {
        "tcp://10.0.0.1:2": "one generates on its host",
        "tcp://10.0.0.3:2": "it is on the server's host, beside seer",
    }


@pytest.mark.parametrize(
    ("told", "error", "words"),
    [
        ({}, MachineError, "dask worker tcp://s:8786"),
        ({"tcp://a:1": worker("a", server=True)}, MachineError, "start one on another"),
        ({"tcp://a:1": worker("a", "x", True), "tcp://b:1": worker("b", "y", True)}, UsageError, "x and y both"),
    ],
)
def test_roles_that_cannot_be_given(told: dict[str, dict[str, object]], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        assign(read(told), "tcp://s:8786")


# Numbers -----------------------------------------------------------------------------------------------------------


def percentiles(values_ns: list[int]) -> Percentiles:
    histogram = hdr.empty()
    for value in values_ns:
        histogram.record_value(value)
    return Percentiles(
        count=len(values_ns),
        mean=round(sum(values_ns) / len(values_ns) / 1e3, 3),
        max=max(values_ns) / 1e3,
        hdr_ns=histogram.encode().decode(),
    )


values = st.lists(st.integers(1_000, 10**10), min_size=1, max_size=30)


@settings(max_examples=20, deadline=None)
@given(st.lists(values, min_size=1, max_size=5))
def test_merged_histograms_are_those_of_all_values_together(hosts: list[list[int]]) -> None:
    whole = merge.percentiles(percentiles(host) for host in hosts)
    every = percentiles([value for host in hosts for value in host])
    assert whole is not None
    assert (whole.count, whole.max) == (every.count, every.max)
    assert whole.mean == pytest.approx(every.mean, abs=0.002)
    assert whole.hdr_ns is not None
    assert whole.hdr_ns == every.hdr_ns


def test_a_host_without_histogram_leaves_the_whole_unknown() -> None:
    known = percentiles([1_000])
    assert merge.percentiles([known, known.replace(hdr_ns=None)]) is None
    assert merge.percentiles([None, Percentiles(count=0)]) is None
    with pytest.raises(ReadError, match="damaged"):
        merge.percentiles([known.replace(hdr_ns="HISTgarbage")])


def test_unknown_counts_make_an_unknown_sum() -> None:
    assert merge.added([1, 2]) == 3
    assert merge.added([1, None]) is None
    assert merge.added([]) is None


def test_timelines_are_summed_where_each_stood_last() -> None:
    early = Track([point(0.1, 1), point(0.2, 4)])
    late = Track([point(0.1, 10), point(0.2, 20)], late_s=0.1)
    points = timeline.joined([early, late], [(0.15, ServerSample(queue_depth=7))])
    assert [(point.t_s, point.connected, point.queue_depth) for point in points] == [
        (0.1, 1, None),
        (0.2, 14, 7),
        (0.3, 24, 7),
    ]


def test_a_long_timeline_has_few_points() -> None:
    points = timeline.joined([Track([point(i / 10, i) for i in range(1, 30_000)])])
    assert len(points) <= timeline.MOST_POINTS + 1
    assert points[-1].connected == 29_999


def test_nothing_heard_gives_no_timeline() -> None:
    assert timeline.joined([Track([])]) == []
    assert timeline.summed([]) is None


def test_the_order_of_arrival_is_that_within_each_host() -> None:
    host = ArrivalOrder(stayed=4, failed=6, pairs=24, in_order=20)
    assert merge.arrival_order([host, None, host]) == ArrivalOrder(stayed=8, failed=12, pairs=48, in_order=40)
    assert merge.arrival_order([None]) is None
