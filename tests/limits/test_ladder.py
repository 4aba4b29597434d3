"""The pure ladder: each rung's arithmetic, the order, what comes after, and what is not known."""

from __future__ import annotations

from typing import Any

import pytest
from tests.limits.ladders import away, listener, local, names, ports, process, rung, snapshot, spread

from estab.diagnose.ladder import is_met, ladder, reach
from estab.records import CgroupLimits, Conntrack, HostFacts, Limits, NeighbourTable, Nic, PortUse, Unobserved


def test_the_ladder_of_the_issue() -> None:
    """Descriptors, then ports, then conntrack, then memory about 1.6 million."""
    limits = ladder(away())
    assert limits.binding == "client_open_files"
    assert limits.next_after == [
        ("client_open_files", 19_995),
        ("ephemeral_ports", 28_232),
        ("conntrack", 262_134),
        ("nr_open", 1_048_571),
        ("memory", 1_643_835),
        ("file_max", 1_999_000),
    ]
    assert not is_met(limits)


def test_both_ends_here_cost_twice() -> None:
    limits = ladder(local())
    assert rung(limits, "memory").capacity_connections == 821_917
    assert rung(limits, "file_max").capacity_connections == 999_500
    assert "server_memory" not in names(limits)
    assert limits.server_observed


def test_a_server_elsewhere_has_its_own_tables() -> None:
    there = snapshot(
        host=HostFacts(hostname="other", kernel="6.12.8"), sysctls={"net.netfilter.nf_conntrack_max": [1_000]}
    )
    limits = ladder(away(server=there, listeners=(listener(address="0.0.0.0"),)))
    assert rung(limits, "server_conntrack").capacity_connections == 990
    assert rung(limits, "server_conntrack").side == "server"
    assert limits.binding == "server_conntrack"
    assert {"server_memory", "server_file_max", "server_open_files", "path_flows"} <= {*names(limits)}


def test_a_container_of_the_same_host_shares_memory_but_not_conntrack() -> None:
    limits = ladder(away(server=snapshot(), listeners=(listener(),)))
    assert "server_memory" not in names(limits)
    assert "server_conntrack" in names(limits)
    assert rung(limits, "memory").capacity_connections == 821_917


@pytest.mark.parametrize(
    ("soft", "hard", "soft_more", "hard_more"),
    [(300, 300, 295, None), (1024, 20_000, 1019, 19_995), (5, 5, 0, None), (6, 6, 1, None), (4, 4, 0, None)],
)
def test_client_open_files(soft: int, hard: int, soft_more: int, hard_more: int | None) -> None:
    limits = ladder(away(snapshot(nofile_soft=soft, nofile_hard=hard)))
    assert rung(limits, "client_open_files").capacity_connections == soft_more
    assert rung(limits, "client_open_files").value == soft
    above = [one.capacity_connections for one in limits.limits if one.limit == "client_open_files_hard"]
    assert above == ([] if hard_more is None else [hard_more])
    assert is_met(limits) == (soft_more == 0)


@pytest.mark.parametrize(
    ("range_", "reserved", "use", "more"),
    [
        ([40000, 40199], "", {}, 200),
        ([40000, 40199], "", {"bound": 1}, 199),
        ([40000, 40199], "40000-40009,50000", {}, 190),
        ([40000, 40199], [40000], {}, 199),
        ([40000, 40199], "", {"used": 50, "worst_source_used": 50, "sources": 1}, 150),
        ([40000, 40199], "", {"used": 200, "worst_source_used": 200, "sources": 1}, 0),
        ([40000, 40199], "", {"used": 250, "worst_source_used": 130, "sources": 2}, 70),
        # On loopback with tcp_tw_reuse=2, TIME_WAIT is taken over.
        ([40000, 40199], "", {"used": 50, "worst_source_used": 50, "sources": 1, "time_wait": 30}, 180),
        # But nobody says which of two sources it belongs to.
        ([40000, 40199], "", {"used": 90, "worst_source_used": 50, "sources": 2, "time_wait": 30}, 150),
        # Of an odd range each search misses one.
        ([40000, 40200], "", {}, 200),
        ([40000, 40000], "", {}, 1),
    ],
)
def test_ephemeral_ports(range_: list[int], reserved: str | list[int], use: dict[str, int], more: int) -> None:
    sysctls = {"net.ipv4.ip_local_port_range": range_, "net.ipv4.ip_local_reserved_ports": reserved}
    limits = ladder(local(snapshot(sysctls=sysctls, port_use=ports(**use))))
    assert rung(limits, "ephemeral_ports").capacity_connections == more


def test_time_wait_is_held_where_nothing_takes_it_over() -> None:
    use = ports(used=50, worst_source_used=50, sources=1, time_wait=50)
    for changed in ({"net.ipv4.tcp_tw_reuse": [0]}, {"net.ipv4.tcp_timestamps": [0]}):
        limits = ladder(local(snapshot(sysctls=changed, port_use=use)))
        assert rung(limits, "ephemeral_ports").capacity_connections == 28_182
    assert rung(ladder(away(snapshot(port_use=use))), "ephemeral_ports").capacity_connections == 28_182


def test_a_reserved_port_with_a_listener_is_lost_once() -> None:
    here = snapshot(
        sysctls={"net.ipv4.ip_local_port_range": [40000, 40199], "net.ipv4.ip_local_reserved_ports": "40005"},
        listeners=[listener(port=40005)],
        port_use=ports(bound=1),
    )
    assert rung(ladder(away(here)), "ephemeral_ports").capacity_connections == 199


@pytest.mark.parametrize(
    ("limit", "depth", "capacity"), [(37, 0, None), (37, 37, None), (37, 38, 0), (0, 0, None), (0, 1, 0)]
)
def test_accept_queue_is_no_ceiling_until_it_is_full(limit: int, depth: int, capacity: int | None) -> None:
    limits = ladder(local(snapshot(listeners=[listener(limit=limit, depth=depth)])))
    queue = rung(limits, "accept_queue")
    assert (queue.value, queue.used, queue.capacity_connections) == (limit, depth, capacity)
    assert f"{limit + 1} may wait unaccepted" in (queue.note or "")
    assert is_met(limits) == (capacity == 0)


@pytest.mark.parametrize(
    ("limit", "says"), [(511, "the program's own"), (4096, "that is somaxconn"), (8192, "lowered to 4,096")]
)
def test_who_cuts_the_backlog(limit: int, says: str) -> None:
    limits = ladder(local(snapshot(listeners=[listener(limit=limit)])))
    assert says in (rung(limits, "accept_queue").note or "")


@pytest.mark.parametrize(("cookies", "fits"), [(0, 1537), (1, 4097), (2, 0)])
def test_syn_queue(cookies: int, fits: int) -> None:
    here = snapshot(sysctls={"net.ipv4.tcp_syncookies": [cookies]}, listeners=[listener(limit=4096)])
    queue = rung(ladder(local(here)), "syn_queue")
    assert (queue.value, queue.capacity_connections) == (fits, None)


def test_server_open_files() -> None:
    one = ladder(local(snapshot(listeners=[listener(owners=[process(fds=29_000)])])))
    assert rung(one, "server_open_files").capacity_connections == 1_000
    master_and_two = [process(5, fds=6), process(6, fds=100), process(7, fds=200)]
    shared = ladder(local(snapshot(listeners=[listener(owners=master_and_two)])))
    assert rung(shared, "server_open_files").capacity_connections == 29_900 + 29_800
    assert "pid 5 is taken for a master" in (rung(shared, "server_open_files").note or "")
    reuseport = [listener(inode=i, owners=[process(i)]) for i in (1, 2)]
    assert rung(ladder(local(snapshot(listeners=reuseport))), "server_open_files").capacity_connections == 2 * 29_990
    full = ladder(local(snapshot(listeners=[listener(owners=[process(fds=30_000)])])))
    assert full.binding == "server_open_files"
    assert is_met(full)


@pytest.mark.parametrize("owners", [None, [process(fds=None)], [process(nofile_soft=None)]])
def test_server_open_files_not_seen(owners: Any) -> None:
    gap = Unobserved(field="listeners.owners", why="run as root")
    limits = ladder(local(snapshot(listeners=[listener(owners=owners)], unobserved=[gap])))
    assert rung(limits, "server_open_files").capacity_connections is None
    assert "run as root" in (rung(limits, "server_open_files").why_unknown or "")


def test_conntrack() -> None:
    seen = ladder(away(snapshot(conntrack=Conntrack(count=100, maximum=110))))
    assert rung(seen, "conntrack").capacity_connections == 10
    none = {"net.netfilter.nf_conntrack_max": None, "net.netfilter.nf_conntrack_count": None}
    absent = rung(ladder(away(snapshot(sysctls=none))), "conntrack")
    assert absent.capacity_connections is None
    assert "not loaded" in (absent.why_unknown or "")
    unlimited = rung(ladder(away(snapshot(conntrack=Conntrack(count=1, maximum=0)))), "conntrack")
    assert (unlimited.capacity_connections, unlimited.why_unknown) == (None, "a maximum of 0 is no limit")


def test_cgroup_and_cloud() -> None:
    cgroup = CgroupLimits(path="/a", memory_max_bytes=20_000, memory_current_bytes=1_000, pids_max=3, pids_current=2)
    nic = Nic(name="eth0", allowances={"conntrack_allowance_available": 7, "conntrack_allowance_exceeded": 0})
    limits = ladder(away(snapshot(cgroup=cgroup, nics=[nic])))
    assert rung(limits, "cgroup_memory").capacity_connections == 5
    assert rung(limits, "pids").capacity_connections == 19_995
    cloud = rung(limits, "cloud_flows@eth0")
    assert (cloud.side, cloud.capacity_connections) == ("path", 7)


def test_tcp_mem_matters_only_when_it_is_used_up() -> None:
    assert rung(ladder(away()), "tcp_mem").capacity_connections is None
    over = ladder(away(snapshot(sockstat={"TCP.mem": 180_001})))
    assert rung(over, "tcp_mem").capacity_connections == 0
    assert over.binding == "tcp_mem"


def test_tcp_mem_and_orphans_say_how_many_sockets_are_left() -> None:
    buffers = {"net.ipv4.tcp_rmem": [4096, 131_072, 6_291_456], "net.ipv4.tcp_wmem": [4096, 16_384, 4_194_304]}
    limits = ladder(away(snapshot(sysctls=buffers, sockstat={"TCP.mem": 3, "TCP.orphan": 768})))
    # 36 pages each, of the 179,997 that are left.
    assert (rung(limits, "tcp_mem").note or "").startswith("room for the data of 4,999 sockets that have 147,456 bytes")
    assert (rung(limits, "tcp_max_orphans").note or "").startswith("32,000 sockets more")
    assert rung(ladder(away()), "tcp_mem").note is None


def test_a_table_of_neighbours_is_told_once_it_is_half_full() -> None:
    tables = [
        NeighbourTable(name="arp_cache", entries=512, maximum=1024, table_fulls=0),
        NeighbourTable(name="ndisc_cache", entries=511, maximum=1024, table_fulls=0),
    ]
    limits = ladder(away(snapshot(neighbours=tables)))
    assert (rung(limits, "neighbours@arp_cache").value, rung(limits, "neighbours@arp_cache").used) == (1024, 512)
    assert not any(limit.limit == "neighbours@ndisc_cache" for limit in limits.limits)


def test_what_is_unknown_stands_last_with_why() -> None:
    empty = snapshot(
        sysctls=dict.fromkeys(snapshot().sysctls or {}),
        nofile_soft=None,
        nofile_hard=None,
        memory_available_bytes=None,
        sockstat=None,
        listeners=None,
        port_use=None,
    )
    limits = ladder(away(empty, why_unobserved="it is elsewhere"))
    assert (limits.binding, limits.next_after) == (None, [])
    assert all(one.why_unknown for one in limits.limits)
    assert rung(limits, "accept_queue").why_unknown == "it is elsewhere"
    assert limits.why_server_unobserved == "it is elsewhere"
    assert not limits.server_observed


def test_without_a_target_each_listener_has_its_rungs() -> None:
    here = snapshot(listeners=[listener(), listener(port=80, limit=128)], port_use=None)
    limits = ladder(local(here, target=None))
    assert rung(limits, "accept_queue@127.0.0.1:80").value == 128
    assert rung(limits, "accept_queue@127.0.0.1:5000").value == 511
    assert rung(limits, "ephemeral_ports").used is None
    assert limits.target is None


def _reach(found: Limits, **fields: int) -> tuple[int, str | None]:
    return reach(found.limits, spread(**fields))


def test_what_hold_reaches() -> None:
    limits = ladder(away())
    assert _reach(limits) == (28_232, "ephemeral_ports")
    assert _reach(limits, sources=1_000) == (262_134, "conntrack")
    assert _reach(limits, processes=1) == (19_995, "client_open_files")
    assert _reach(ladder(away(snapshot(nofile_soft=300, nofile_hard=300))), processes=2) == (590, "client_open_files")
    assert _reach(limits, most=100) == (100, None)
    assert "gets 28,232, then ephemeral_ports" in (rung(limits, "client_open_files").note or "")


@pytest.mark.parametrize(
    ("sysctls", "target_away", "per_second"),
    [
        ({}, False, 28_232.0),
        ({"net.ipv4.tcp_tw_reuse_delay": [100]}, False, 282_320.0),
        ({"net.ipv4.tcp_tw_reuse": [0]}, False, 455.0),  # 28,232 in 60 to 62 s
        ({}, True, 455.0),  # tcp_tw_reuse=2 is for loopback alone
        ({"net.ipv4.tcp_tw_reuse": [1]}, True, 28_232.0),
        ({"net.ipv4.tcp_max_tw_buckets": [100]}, True, None),
        ({"net.ipv4.ip_local_port_range": None}, True, None),
    ],
)
def test_short_connections(sysctls: dict[str, Any], target_away: bool, per_second: float | None) -> None:
    here = snapshot(sysctls=sysctls)
    limits = ladder(away(here) if target_away else local(here))
    (rate,) = [one for one in limits.rates if one.limit == "short_connections"]
    assert rate.per_second == pytest.approx(per_second, rel=0.001) if per_second else rate.per_second is None
    assert rate.note


def test_short_connections_fill_the_conntrack_table() -> None:
    (rate,) = [one for one in ladder(away()).rates if one.limit == "short_connections_conntrack"]
    assert rate.per_second == pytest.approx(262_144 / 120, rel=0.001)


def test_use_towards_nobody_is_not_asked() -> None:
    here = snapshot(port_use=PortUse(address="10.0.0.1", port=1, used=9, time_wait=0, sources=1))
    assert rung(ladder(away(here, target=None)), "ephemeral_ports").capacity_connections == 28_232
