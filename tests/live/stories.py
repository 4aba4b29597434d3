"""Snapshots made by hand: a host whose listener fills, overflows and recovers, at fixed times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from estab.records import (
    Census,
    Conntrack,
    HostFacts,
    Listener,
    PeerCount,
    PortUse,
    Process,
    Snapshot,
    Unobserved,
    encode,
)

START_S = 1_767_225_600.0  # 2026-01-01 00:00:00 UTC
NGINX = Process(pid=4711, name="nginx", fds=120, nofile_soft=1024, nofile_hard=4096, rss_bytes=10_500_000)
PYTHON = Process(pid=4812, name="python3", fds=800, nofile_soft=1024, nofile_hard=1024, rss_bytes=41_000_000)


def listener(
    port: int,
    depth: int = 0,
    limit: int = 128,
    *,
    address: str = "127.0.0.1",
    drops: int | None = 0,
    owners: Sequence[Process] | None = (NGINX,),
    inode: int | None = None,
) -> Listener:
    return Listener(
        family=6 if ":" in address else 4,
        address=address,
        port=port,
        depth=depth,
        limit=limit,
        drops=drops,
        inode=inode or port,
        owners=list(owners) if owners else None,
    )


def snapshot(
    at_s: float,
    *listeners: Listener,
    overflows: int = 0,
    arrived: int = 0,
    netns: str | None = None,
    inode: int = 1,
    **fields: object,
) -> Snapshot:
    counters = {
        "TcpExt.ListenOverflows": overflows,
        "TcpExt.ListenDrops": overflows,
        "Tcp.PassiveOpens": arrived,
        "Tcp.ActiveOpens": 7,
        "Tcp.RetransSegs": overflows * 2,
    }
    plain = Snapshot(
        taken_at_s=START_S + at_s,
        host=HostFacts(hostname="web-1", kernel="6.12.0", cores=2, netns_inode=inode, euid=0),
        sysctls={"net.core.somaxconn": [4096], "net.ipv4.tcp_abort_on_overflow": [0], "net.ipv4.tcp_syncookies": [1]},
        listeners=list(listeners),
        counters=counters,
        sockstat={"TCP.inuse": 120, "TCP.tw": 340, "TCP.orphan": 0},
        conntrack=Conntrack(count=131_072, maximum=262_144, buckets=65_536, drop=0, early_drop=0, insert_failed=0),
        netns=netns,
    )
    return plain.replace(**fields)


def counted(snapshot: Snapshot) -> Snapshot:
    """With what a live view counts only now and then."""
    states = {"LISTEN": 4, "ESTAB": 412, "TIME-WAIT": 340, "SYN-RECV": 9}
    targets = [
        PortUse(address="10.0.0.5", port=5432, used=24_500, time_wait=9_800, sources=1, capacity=28_232, bound=3,
                worst_source_used=24_500),
        PortUse(address="10.0.0.9", port=6379, used=310, time_wait=12, sources=2, capacity=28_232, bound=3,
                worst_source_used=200),
    ]  # fmt: skip
    census = Census(sockets=765, states=states, ports=[], peers=[PeerCount(address="10.0.0.5", sockets=400)])
    return snapshot.replace(states=states, census=census, targets=targets, port_use=targets[0])


def moment(second: int) -> Snapshot:
    """One second of the story: 8080 fills by 3 a second, overflows from second 6 on; 9000 has drops of another kind."""
    depth = min(17, 3 * second)
    lost = max(0, second - 5) * 12
    unseen = [Unobserved(field="listeners.owners", why="the descriptors of 12 processes may not be read: run as root")]
    taken = snapshot(
        float(second),
        listener(8080, depth, 16, drops=lost, owners=[PYTHON], address="0.0.0.0"),
        listener(443, 2 * (second % 2), 511, drops=3, address="::"),
        listener(9000, 1, 64, drops=0, owners=None, address="2001:db8:0:1:20c:29ff:fe0c:47d5"),
        listener(5432, 0, 200, owners=[Process(pid=999, name="postgres", fds=64, nofile_soft=1024)]),
        overflows=lost,
        arrived=40 * second,
        unobserved=unseen,
    )
    return counted(taken) if second % 4 == 0 else taken


def story(seconds: int = 10) -> list[Snapshot]:
    return [moment(second) for second in range(seconds)]


def written(path: Path, snapshots: Sequence[Snapshot]) -> Path:
    path.write_bytes(b"".join(encode(snapshot) + b"\n" for snapshot in snapshots))
    return path
