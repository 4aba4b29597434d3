"""Descriptors, conntrack, memory, cloud flows, counters: rules 25 to 30."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.kernel.rules import RuleInputError, cloud_flows, conntrack, counters, descriptors, do_nothing, memory
from estab.kernel.rules.interval import Interval, exactly, spanning


@pytest.mark.parametrize(
    ("soft", "used", "file_max", "file_used", "privileged", "expected"),
    [
        (1024, 1023, None, None, False, (1, "nofile_soft", "EMFILE")),
        (1024, 1024, None, None, False, (0, "nofile_soft", "EMFILE")),
        (1024, 1025, None, None, False, (0, "nofile_soft", "EMFILE")),
        (1024, 4, 1000, 400, False, (600, "file_max", "ENFILE")),
        (1024, 4, 1000, 400, True, (1020, "nofile_soft", "EMFILE")),
        (1024, 4, 1420, 400, False, (1020, "nofile_soft", "EMFILE")),  # equal: EMFILE is tested first
        (None, 4, 1000, 400, False, (600, "file_max", "ENFILE")),
        (1024, None, None, None, False, (None, None, None)),
    ],
)
def test_rule_25(  # noqa: PLR0917
    soft: int | None, used: int | None, file_max: int | None, file_used: int | None, privileged: bool, expected: object
) -> None:
    found = descriptors.available(soft, used, file_max=file_max, file_used=file_used, privileged=privileged)
    assert (found.available, found.binding, found.errno) == expected


def test_raising_the_soft_limit() -> None:
    assert descriptors.available(1024, 24, 20_000).reachable == 19_976
    assert descriptors.available(1024, 24, 20_000, 5000, 4000).reachable == 1000
    assert descriptors.available(1024, 24).reachable is None


def test_connections_of_descriptors() -> None:
    assert [descriptors.connections(n, 2) for n in (3, 4, 5)] == [1, 2, 2]


@pytest.mark.parametrize(
    ("count", "maximum", "expected"),
    [(499, 500, 1), (500, 500, 0), (501, 500, 0), (None, 500, None), (5, None, None), (5, 0, None)],
)
def test_rule_26(count: int | None, maximum: int | None, expected: int | None) -> None:
    assert conntrack.headroom(count, maximum) == expected


def test_rule_26_full() -> None:
    assert [conntrack.is_full(count, 500) for count in (499, 500, 501)] == [False, True, True]
    assert not conntrack.is_full(10**6, 0)
    assert conntrack.fits_ct_count(500) == 500
    assert conntrack.short_connections_per_second(262_144) == pytest.approx(2184.5, abs=0.1)


def test_rule_27() -> None:
    limits = (100, 200, 300)
    seen = [memory.tcp_mem_pressure(n, limits) for n in (200, 201, 300, 301, None)]
    assert seen == ["none", "pressure", "pressure", "over_limit", None]
    assert [memory.too_many_orphans(n, 300) for n in (299, 300, 301, None)] == [False, False, True, None]
    assert memory.too_many_orphans(0, 0) is False
    assert [memory.sockets_of_data(pages, 4097) for pages in (1, 2, 7, None)] == [0, 1, 3, None]
    assert memory.connections(3_800_000, 3800) == 1000
    assert memory.connections(None) is None


def test_rule_29() -> None:
    split = counters.split_drops({"ListenDrops": 100, "ListenOverflows": 60, "TCPReqQFullDrop": 30})
    assert (split.accept_queue, split.syn_queue, split.unexplained) == (60, 30, 10)
    assert counters.split_drops({"ListenDrops": 90, "ListenOverflows": 60, "TCPReqQFullDrop": 30}).unexplained == 0
    assert counters.split_drops({"ListenDrops": 89, "ListenOverflows": 60, "TCPReqQFullDrop": 30}).unexplained == 0
    assert counters.split_drops({"ListenDrops": 89, "ListenOverflows": 60}).unexplained is None


def test_rule_30() -> None:
    assert cloud_flows.allowance(None).verdict == "not_observed"
    assert cloud_flows.allowance({"rx_bytes": 1}).verdict == "not_observed"
    quiet = cloud_flows.allowance({cloud_flows.EXCEEDED: 7}, {cloud_flows.EXCEEDED: 7})
    assert (quiet.verdict, quiet.exceeded_packets, quiet.available) == ("not_exceeded", 0, None)
    hit = cloud_flows.allowance({cloud_flows.EXCEEDED: 8, cloud_flows.AVAILABLE: 0}, {cloud_flows.EXCEEDED: 7})
    assert (hit.verdict, hit.exceeded_packets, hit.available) == ("exceeded", 1, 0)


def test_what_does_nothing() -> None:
    assert do_nothing.WHY.keys() == set(get_args(do_nothing.Id))
    assert all(why and not why.endswith(".") for why in do_nothing.WHY.values())


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_an_interval_spans_its_values(values: list[float]) -> None:
    found = spanning(values)
    assert all(value in found for value in values)
    assert found.exact is (len(set(values)) == 1)


def test_intervals_add_and_print() -> None:
    assert str(exactly(3)) == "3"
    assert str(Interval(low=1, high=2)) == "1 to 2"
    assert str(Interval(low=1, high=None) + exactly(2)) == "3 or more"
    assert 10**9 in Interval(low=1, high=None)
    with pytest.raises(RuleInputError):
        Interval(low=2, high=1)
    with pytest.raises(RuleInputError):
        spanning([])


@pytest.mark.parametrize(
    "ask",
    [
        lambda: descriptors.available(-1, 0),
        lambda: descriptors.connections(1, 0),
        lambda: conntrack.headroom(-1, 5),
        lambda: memory.connections(-1),
        lambda: counters.split_drops({"ListenDrops": -1}),
        lambda: cloud_flows.allowance({cloud_flows.EXCEEDED: 1}, {cloud_flows.EXCEEDED: 2}),
    ],
)
def test_refuses(ask: object) -> None:
    with pytest.raises(RuleInputError):
        ask()  # type: ignore[operator]
