"""The plan is pure: properties over random asks and machines, tables for what users count on."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.errors import UsageError
from estab.load import plan
from estab.load.exchange import echo
from estab.load.plan import Address, ClientLoad, Machine

HERE = Machine(cores=2, nofile=20_000, ports=28_232)
LOOPBACK = ("127.0.0.1", 5000, 0)
HOLD = ClientLoad(workload="hold", connections=100, duration_s=1.0)

targets = st.sampled_from([LOOPBACK, ("10.1.2.3", 80, 0), ("::1", 1, 0)])

loads = st.builds(
    ClientLoad,
    workload=st.sampled_from(["rr", "flood", "hold", "churn"]),
    connections=st.integers(1, 1_000_000),
    duration_s=st.floats(0.001, 1000),
    exchange=st.builds(echo, st.integers(1, 1 << 20)),
    in_flight=st.none() | st.integers(1, 100_000),
    attempts=st.integers(0, 1_000_000),
    processes=st.none() | st.integers(1, 64),
)
machines = st.builds(
    Machine, cores=st.integers(1, 128), nofile=st.integers(8, 2_000_000), ports=st.none() | st.integers(1, 64_511)
)


@given(loads, targets, machines)
def test_nothing_asked_is_lost_or_added(load: ClientLoad, target: Address, machine: Machine) -> None:
    configs = plan.make(load, target, machine).configs
    held = sum(config["connections"] for config in configs)
    if load.workload == "churn" and load.attempts:
        assert sum(config["attempts"] for config in configs) == load.attempts
        assert held <= load.connections
    elif not load.attempts:
        assert held == load.connections
    assert all(config["connections"] >= 1 and config["in_flight"] >= 1 for config in configs)


@given(loads, targets, machines)
def test_no_process_gets_more_than_its_descriptors_where_spreading_is_worth_it(
    load: ClientLoad, target: Address, machine: Machine
) -> None:
    if load.processes or machine.nofile < plan.WORTH_SPREADING + plan.OWN_DESCRIPTORS:
        return
    for config in plan.make(load, target, machine).configs:
        assert config["connections"] <= machine.nofile - plan.OWN_DESCRIPTORS


@given(loads, targets, machines)
def test_source_addresses_are_loopback_and_keep_their_ranges_from_filling(
    load: ClientLoad, target: Address, machine: Machine
) -> None:
    sources = plan.make(load, target, machine).sources
    assert all(ip_address(source).is_loopback for source in sources)
    assert len(set(sources)) == len(sources)
    if sources:
        assert load.connections / len(sources) <= plan.PORTS_PER_SOURCE
        assert target[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("connections", "nofile", "processes"),
    [
        (1, 20_000, 1),
        (999, 20_000, 1),
        (1_000, 20_000, 1),
        (1_001, 20_000, 2),
        (39_968, 20_000, 2),
        (39_969, 20_000, 3),
        (60_000, 20_000, 4),
        (1_000_000, 20_000, 51),
        (400, 64, 1),
        (60_000, 1_015, 2),
        (60_000, 1_016, 60),
    ],
)
def test_processes_for_held_connections(connections: int, nofile: int, processes: int) -> None:
    made = plan.make(replace(HOLD, connections=connections), LOOPBACK, replace(HERE, nofile=nofile))
    assert len(made.configs) == processes


def test_one_process_has_all_that_rest_for_gaps() -> None:
    load = ClientLoad(workload="rest", connections=900, duration_s=60.0, gaps_s=(0.5, 60.0), most_lost=2)
    (config,) = plan.make(load, LOOPBACK, replace(HERE, cores=8), beside_server=True).configs
    assert (config["gaps_ns"], config["most_lost"], config["connections"]) == ([500_000_000, 60_000_000_000], 2, 900)
    assert plan.make(HOLD, LOOPBACK, HERE).configs[0]["gaps_ns"] == []


@pytest.mark.parametrize(
    ("target", "connections", "ports", "sources"),
    [
        ("127.0.0.1", 10_000, 28_232, 0),
        ("127.0.0.1", 10_001, 28_232, 2),
        ("127.0.0.1", 60_000, 28_232, 6),
        ("127.5.5.5", 60_000, None, 6),
        ("127.0.0.1", 400, 200, 0),
        ("127.0.0.1", 5_000, 999, 0),
        ("127.0.0.1", 5_000, 1_000, 8),
        ("10.0.0.1", 60_000, 28_232, 0),
        ("::1", 60_000, 28_232, 0),
    ],
)
def test_loopback_sources(target: str, connections: int, ports: int | None, sources: int) -> None:
    assert len(plan.loopback_sources(target, connections, ports)) == sources


@pytest.mark.parametrize(("total", "parts", "expected"), [(10, 3, [4, 3, 3]), (2, 3, [1, 1]), (0, 2, []), (5, 1, [5])])
def test_shares(total: int, parts: int, expected: list[int]) -> None:
    assert plan.shares(total, parts) == expected


@pytest.mark.parametrize("sources", [("no",), ("::1",)])
def test_sources_that_cannot_be(sources: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="`sources`"):
        plan.make(replace(HOLD, sources=sources), LOOPBACK, HERE)


@pytest.mark.parametrize(
    ("parameter", "value", "said"),
    [
        ("connections", 0, "`connections` is 0, out of range (1 to 10,000)"),
        ("duration_s", float("nan"), "`duration_s` is nan, out of range (1 to 10,000 seconds)"),
        ("rate_per_s", 0.5, "`rate_per_s` is 0.5, out of range (1 to 10,000 a second)"),
        ("size_bytes", 10_001, "`size_bytes` is 10,001, out of range (1 to 10,000 bytes)"),
        ("port", 70_000, "`port` is 70000, out of range (1 to 10000)"),
    ],
)
def test_a_range_is_said_with_its_unit(parameter: str, value: float, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        plan.check_range(parameter, value, 1, 10_000)
    assert str(refused.value) == said
    plan.check_range(parameter, 1, 1, 10_000)
    plan.check_range(parameter, 10_000, 1, 10_000)


@given(st.integers(1, 2_000_000), st.integers(1_100, 1_000_000))
def test_servers_have_room_for_an_uneven_hash(connections: int, nofile: int) -> None:
    processes = plan.server_processes_for(connections, nofile)
    room = nofile - plan.OWN_DESCRIPTORS
    assert processes == 1 or processes * room >= connections * 1.15


@pytest.mark.parametrize(
    ("workload", "beside", "processes"),
    [
        ("rr", True, 1),
        ("rr", False, 2),
        ("flood", True, 1),
        ("flood", False, 2),
        ("churn", True, 2),
        ("churn", False, 2),
    ],
)
def test_both_ends_share_the_cores_where_that_is_faster(workload: str, beside: bool, processes: int) -> None:
    load = replace(HOLD, workload=workload, exchange=echo(1))
    assert len(plan.make(load, LOOPBACK, HERE, beside_server=beside).configs) == processes
