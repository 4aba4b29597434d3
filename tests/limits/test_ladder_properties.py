"""Whatever snapshots say, damaged ones too: the ladder is in order, never negative, and honest about what it lacks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.limits.ladders import TARGET, listener, process, snapshot, spread

from estab.diagnose.ladder import BothEnds, in_order, is_met, ladder, reach
from estab.records import (
    LIMITS_SCHEMA,
    CgroupLimits,
    Conntrack,
    HostFacts,
    Limit,
    Limits,
    Listener,
    Nic,
    PortUse,
    Snapshot,
    decode,
    encode,
)

NUMBER = st.one_of(st.none(), st.integers(-3, 200_000), st.integers(-(2**40), 2**62))
COUNT = st.integers(-3, 2**40)
SYSCTL = st.one_of(st.none(), st.lists(COUNT, max_size=4), st.text(max_size=12))


def structs(kind: type[Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, **fields)


PROCESS = st.builds(process, st.integers(1, 9), fds=NUMBER, nofile_soft=NUMBER)
LISTENER: st.SearchStrategy[Listener] = st.builds(
    listener,
    port=st.sampled_from([5000, 40_000]),
    address=st.sampled_from(["127.0.0.1", "0.0.0.0", "::", "?"]),
    depth=COUNT,
    limit=COUNT,
    owners=st.one_of(st.none(), st.lists(PROCESS, max_size=3)),
)
USE = structs(
    PortUse,
    address=st.just("127.0.0.1"),
    port=st.just(5000),
    used=COUNT,
    time_wait=COUNT,
    sources=COUNT,
    worst_source_used=NUMBER,
    bound=NUMBER,
)
CGROUP = structs(
    CgroupLimits,
    memory_max_bytes=NUMBER,
    memory_current_bytes=NUMBER,
    pids_max=NUMBER,
    pids_current=NUMBER,
)
ALLOWANCES = st.dictionaries(
    st.sampled_from(["conntrack_allowance_available", "conntrack_allowance_exceeded", "x"]), COUNT, max_size=3
)
RELEASE = st.sampled_from([None, "6.18.44", "5.15.0-91-generic", "4.4.0", "junk", ""])
SNAPSHOT: st.SearchStrategy[Snapshot] = st.builds(
    snapshot,
    host=structs(HostFacts, hostname=st.sampled_from([None, "a"]), kernel=RELEASE, memory_bytes=NUMBER),
    sysctls=st.dictionaries(st.sampled_from(sorted(snapshot().sysctls or {})), SYSCTL),
    nofile_soft=NUMBER,
    nofile_hard=NUMBER,
    memory_available_bytes=NUMBER,
    listeners=st.one_of(st.none(), st.lists(LISTENER, max_size=3)),
    port_use=st.one_of(st.none(), USE),
    conntrack=st.one_of(st.none(), structs(Conntrack, count=NUMBER, maximum=NUMBER)),
    cgroup=st.one_of(st.none(), CGROUP),
    sockstat=st.one_of(st.none(), st.dictionaries(st.sampled_from(["TCP.mem", "TCP.orphan"]), COUNT)),
    nics=st.one_of(st.none(), st.lists(structs(Nic, name=st.just("eth0"), allowances=ALLOWANCES), max_size=1)),
)


@st.composite
def views(draw: st.DrawFn) -> BothEnds:
    here = draw(SNAPSHOT)
    server = draw(st.sampled_from(["none", "same", "other"]))
    there = {"none": None, "same": here, "other": draw(SNAPSHOT)}[server]
    return BothEnds(
        client=here,
        spread=spread(processes=draw(st.integers(1, 600)), sources=draw(st.integers(1, 1_000))),
        target=draw(st.sampled_from([None, TARGET, ("::1", 5000), ("10.0.0.5", 80)])),
        server=there,
        listeners=tuple(there.listeners or ()) if there else (),
    )


@given(views())
def test_every_ladder(view: BothEnds) -> None:
    limits = ladder(view)
    capacities = [one.capacity_connections for one in limits.limits]
    known = [capacity for capacity in capacities if capacity is not None]
    assert capacities == [*sorted(known), *[None] * (len(capacities) - len(known))]
    assert all(capacity >= 0 for capacity in known)
    assert [capacity for _name, capacity in limits.next_after] == known
    assert [name for name, _capacity in limits.next_after] == [one.limit for one in limits.limits[: len(known)]]
    assert limits.binding == (limits.limits[0].limit if known else None)
    assert all(one.why_unknown for one in limits.limits if one.capacity_connections is None)
    assert all(one.why_unknown is None for one in limits.limits if one.capacity_connections is not None)
    assert is_met(limits) == (0 in known)
    assert limits.server_observed == (limits.why_server_unobserved is None)
    assert all(rate.per_second is None or rate.per_second >= 0 for rate in limits.rates)
    assert len({one.limit for one in limits.limits}) == len(limits.limits)
    assert decode(encode(limits), Limits, LIMITS_SCHEMA) == limits


@given(views())
def test_what_hold_reaches_is_never_above_what_binds_it(view: BothEnds) -> None:
    limits = ladder(view)
    count, by = reach(limits.limits, view.spread)
    assert 0 <= count <= view.spread.most
    shared = [
        one.capacity_connections
        for one in limits.limits
        if one.capacity_connections is not None
        and one.limit not in ("client_open_files", "client_open_files_hard", "nr_open", "ephemeral_ports")
    ]
    assert all(count <= capacity for capacity in shared)
    assert by is None or by in {one.limit for one in limits.limits}


@given(st.lists(st.one_of(st.none(), st.integers(0, 5)), max_size=12))
def test_order_is_stable(capacities: list[int | None]) -> None:
    limits = [
        Limit(limit=str(at), side="client", unit="x", source="x", capacity_connections=capacity)
        for at, capacity in enumerate(capacities)
    ]
    ordered = in_order(limits)
    assert sorted(ordered, key=limits.index) == limits
    for one, other in pairwise(ordered):
        if one.capacity_connections == other.capacity_connections:
            assert int(one.limit) < int(other.limit)
        else:
            assert one.capacity_connections is not None
