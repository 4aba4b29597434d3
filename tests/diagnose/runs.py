"""Runs as they really look, to be bent by the tests: one builder a shape, every argument a field that matters."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from estab.kernel.formats.proc_net import parse_counters
from estab.records import (
    ArrivalOrder,
    CgroupCpu,
    ClientSide,
    ConnectAfter,
    Conntrack,
    DropReasons,
    ErrorOrder,
    Failure,
    Funnel,
    HostFacts,
    IdleGap,
    LateConnect,
    Latency,
    Listener,
    ListenerWatch,
    NameAddress,
    NeighbourTable,
    Nic,
    Percentiles,
    PortHolder,
    PortUse,
    Process,
    Requests,
    RunResult,
    Security,
    ServerSide,
    ServerSockets,
    SizeProbe,
    Snapshot,
    Softnet,
    Stall,
    Stalls,
    Tasks,
    Thread,
    TimelinePoint,
    Worker,
)
from estab.records.deltas import between

HOST = HostFacts(hostname="box", kernel="6.18.44", machine="x86_64", cores=2, memory_bytes=8 << 30, euid=0)


def snapshot(**fields: Any) -> Snapshot:
    sysctls: dict[str, list[int] | str] = {
        "net.core.somaxconn": [128],
        "net.ipv4.tcp_syncookies": [1],
        "net.ipv4.tcp_abort_on_overflow": [0],
        "net.ipv4.tcp_syn_linear_timeouts": [4],
        "net.ipv4.tcp_max_syn_backlog": [2048],
        "net.ipv4.tcp_tw_reuse": [2],
        "net.ipv4.tcp_timestamps": [1],
        "net.ipv4.ip_local_port_range": [32768, 60999],
    }
    sysctls.update(fields.pop("sysctls", {}))
    values: dict[str, Any] = {
        "taken_at_s": 1.0,
        "host": HOST,
        "nofile_soft": 20_000,
        "nofile_hard": 20_000,
        "sysctls": {name: value for name, value in sysctls.items() if value is not None},
        "listeners": [Listener(family=4, address="127.0.0.1", port=5000, depth=0, limit=128)],
    }
    return Snapshot(**{**values, **fields})


def watch(**fields: Any) -> ListenerWatch:
    """A listener that accepted everything at once."""
    values: dict[str, Any] = {
        "address": "127.0.0.1",
        "port": 5000,
        "listeners": 1,
        "limit": 128,
        "worst_depth": 0,
        "last_depth": 0,
        "samples": 30,
        "full_samples": 0,
        "rose_only": False,
        "drops": 0,
        "queued_at_end": 0,
        "accepted_at_end": 400,
    }
    return ListenerWatch(**{**values, **fields})


_DATA = Path(__file__).parents[1] / "data" / "6.18"
COUNTERS = {
    name: value for file in ("netstat", "snmp") for name, value in parse_counters((_DATA / file).read_bytes()).items()
}


def deltas(**risen: int) -> dict[str, int]:
    """What a run records where these counters rose: `X` is `TcpExt.X`, `Tcp_X` is `Tcp.X`. Its connects were made."""
    return dict(_deltas(tuple(risen.items())))


@functools.cache
def _deltas(risen_by: tuple[tuple[str, int], ...]) -> dict[str, int]:
    risen = {"Tcp_ActiveOpens": 400, "Tcp_PassiveOpens": 400, **dict(risen_by)}
    moved = {name.replace("_", ".") if "_" in name else f"TcpExt.{name}": by for name, by in risen.items()}
    return between(COUNTERS, {name: value + moved.get(name, 0) for name, value in COUNTERS.items()}) or {}


def local(listener: ListenerWatch | None = None, **fields: Any) -> ServerSide:
    """A foreign server on this host, observed."""
    values: dict[str, Any] = {
        "observed": True,
        "before": snapshot(),
        "after": snapshot(),
        "deltas": deltas(),
        "listener": watch() if listener is None else listener,
        "processes": [Process(pid=4321, name="nginx", fds=410, nofile_soft=1024, nofile_hard=4096)],
    }
    return ServerSide(**{**values, **fields})


def embedded(listener: ListenerWatch | None = None, **fields: Any) -> ServerSide:
    """Our own server."""
    workers = [Worker(pid=77, role="server", exit=0, cpu_fraction=0.97, nofile_soft=20_000, worst_fds=410)]
    return local(listener, **{"embedded": True, "processes": [], "workers": workers, **fields})


def remote(why: str = "192.0.2.7 is not an address of this host") -> ServerSide:
    return ServerSide(observed=False, why=why)


def worker(**fields: Any) -> Worker:
    """A client worker as a healthy closed loop leaves it: busy, and on time."""
    values: dict[str, Any] = {
        "pid": 42,
        "role": "client",
        "exit": 0,
        "attempted": 200,
        "cpu_fraction": 0.99,
        "worst_lag_ms": 12.0,
        "nofile_soft": 20_000,
        "worst_fds": 213,
    }
    return Worker(**{**values, **fields})


def ports(**fields: Any) -> PortUse:
    values: dict[str, Any] = {
        "address": "127.0.0.1",
        "port": 5000,
        "used": 400,
        "time_wait": 0,
        "sources": 1,
        "capacity": 28_232,
        "bound": 0,
        "worst_source_used": 400,
    }
    return PortUse(**{**values, **fields})


def point(t_s: float, **fields: Any) -> TimelinePoint:
    values: dict[str, Any] = dict.fromkeys(
        ("attempted", "connected", "first_byte", "completed", "failed", "open", "requests"), 0
    )
    return TimelinePoint(t_s=t_s, **{**values, **fields})


def run(command: str = "hold", **fields: Any) -> RunResult:
    """A healthy `hold` of 400 connections on a foreign server of this host, unless told otherwise."""
    config = {"target": "127.0.0.1:5000", "connections": 400, "duration_s": 3.0, "timeout_s": 3.0}
    config.update(fields.pop("config", {}))
    client = ClientSide(before=snapshot(), after=snapshot(), port_use=ports(), workers=[worker(), worker(pid=43)])
    client = client.replace(**fields.pop("client", {}))
    values: dict[str, Any] = {
        "command": command,
        "config": {name: value for name, value in config.items() if value is not None},
        "host": HOST,
        "started_at_s": 1.0,
        "elapsed_s": 3.1,
        "engine": "c",
        "funnel": funnel(),
        "latency": Latency(connect_us=percentiles(61.0)),
        "syn_retransmits": {"0": 400},
        "client": client,
        "server": local(),
    }
    return RunResult(**{**values, **fields})


def funnel(attempted: int = 400, connected: int = 400, **fields: Any) -> Funnel:
    values: dict[str, Any] = {"accepted": connected, "first_byte": 0, "completed": connected}
    return Funnel(attempted=attempted, connected=connected, **{**values, **fields})


def percentiles(p50: float, count: int = 400) -> Percentiles:
    return Percentiles(count=count, mean=p50, p50=p50, p90=p50 * 2, p99=p50 * 4, p999=p50 * 8, max=p50 * 20)


def failure(phase: str, errno: str, count: int, first_s: float = 0.01) -> Failure:
    return Failure(phase=phase, errno=errno, count=count, first_s=first_s, example="127.0.0.1:5000")


# The shapes of the issue -------------------------------------------------------------------------------------------


def healthy_bench(server: ServerSide | None = None) -> RunResult:
    """bench -c 400 -s 1400 -d 5 on two cores: every worker at 100% CPU, nothing missed."""
    return run(
        "bench",
        config={"size_bytes": 1400, "mode": "rr", "duration_s": 5.0},
        elapsed_s=5.1,
        funnel=funnel(first_byte=400),
        requests=Requests(count=456_123, per_second=91_224.6, bytes=638_572_200, seconds=5.0),
        latency=Latency(connect_us=percentiles(61.0), request_us=percentiles(2140.0, 456_123)),
        server=server or embedded(),
    )


def healthy_churn(server: ServerSide | None = None) -> RunResult:
    return run(
        "churn",
        config={"connections": 100, "timeout_s": 0.5},
        funnel=funnel(46_000, 46_000, accepted=None),
        syn_retransmits={"0": 46_000},
        client={"port_use": ports(used=15_000, time_wait=14_900, worst_source_used=15_000)},
        server=server or local(watch(worst_depth=7, accepted_at_end=0)),
    )


def stalled(**fields: Any) -> RunResult:
    """hold -n 400 against `serve stall --backlog 128`."""
    full = watch(
        worst_depth=129,
        last_depth=129,
        full_samples=30,
        rose_only=True,
        drops=1084,
        queued_at_end=129,
        accepted_at_end=0,
    )
    values: dict[str, Any] = {
        "funnel": funnel(400, 129, accepted=0, completed=129),
        "failures": [failure("connect", "own_timeout", 271, 3.001)],
        "syn_retransmits": {"0": 129, "2": 271},
        "server": local(full, deltas=deltas(ListenOverflows=1084, ListenDrops=1084)),
        "timeline": stuck_timeline(129),
    }
    return run(**{**values, **fields})


def stuck_timeline(waiting: int, accepted: int = 0, seconds: float = 3.0) -> list[TimelinePoint]:
    """400 clients at once; so many are accepted within the first tenth of a second, then none, and so many wait."""
    seen = {"queue_depth": waiting, "queue_limit": max(waiting - 1, 128), "passive_opens": waiting + accepted}
    load = {"attempted": 400, "connected": 129, "open": 129}
    return [point(tick / 10, **load, **seen, server_held=accepted) for tick in range(1, round(seconds * 10) + 1)]


def one_of_several_stuck(
    waiting: int = 50, others: int = 0, *, members: int = 4, state: str = "T", still_s: float = 1.8, **fields: Any
) -> RunResult:
    """hold -n 200 against four listeners of a port, the third of which is never emptied; `others` wait at the first."""
    inodes = range(1, members + 1)
    owner = Process(pid=100, name="node", fds=60, nofile_soft=1024, started_ticks=3, thread_states={"S": 4})
    owning = {
        inode: owner.replace(pid=100 + inode, thread_states={state if inode == 3 else "S": 4}) for inode in inodes
    }
    listeners = [
        Listener(family=4, address="127.0.0.1", port=5000, depth=waiting if inode == 3 else 0, limit=128, inode=inode,
                 owners=[owning[inode]])
        for inode in inodes
    ]  # fmt: skip
    timeline = [
        point(
            tick / 10, attempted=200, connected=200, open=200, passive_opens=200, queue_depth=waiting + others,
            queue_depths={str(inode): depth for inode, depth in ((3, waiting), (1, others)) if depth},
        )
        for tick in range(1, 2 + round(still_s * 10))
    ]  # fmt: skip
    watched = [watch(listeners=1, inode=inode, last_depth=waiting * (inode == 3), worst_depth=waiting * (inode == 3))
               for inode in inodes]  # fmt: skip
    values: dict[str, Any] = {
        "config": {"connections": 200, "port": 5000},
        "funnel": funnel(200, 200, accepted=None, completed=200 - waiting),
        "timeline": timeline,
        "server": local(
            watch(listeners=members, inode=3, worst_depth=waiting, last_depth=waiting, queued_at_end=waiting,
                  accepted_at_end=200 - waiting),
            listeners=watched, before=snapshot(listeners=listeners),
            after=snapshot(listeners=listeners, taken_at_s=4.0), processes=list(owning.values()),
            deltas=deltas(Tcp_PassiveOpens=200),
        ),
    }  # fmt: skip
    return run(**{**values, **fields})


def slow_timeline(accepts_per_s: float = 20.0, limit: int = 16) -> list[TimelinePoint]:
    """400 clients against a server that accepts one in 50 ms: full at once, refilled by each SYN retransmission."""
    points = []
    for tenth in range(31):
        accepted = int(tenth / 10 * accepts_per_s)
        connected = limit + 1 + accepted
        points.append(
            point(
                tenth / 10,
                attempted=400,
                connected=connected,
                open=connected,
                accepted=accepted,
                queue_depth=limit + 1 - (tenth % 10) // 2,
                queue_limit=limit,
            )
        )
    return points


def overflowed(**fields: Any) -> RunResult:
    """hold -n 400 against `serve echo --backlog 16 --accept-delay 50ms`."""
    full = watch(
        limit=16, worst_depth=17, last_depth=13, full_samples=12, drops=920, queued_at_end=13, accepted_at_end=60
    )
    values: dict[str, Any] = {
        "funnel": funnel(400, 73, accepted=60, completed=73),
        "failures": [failure("connect", "own_timeout", 327, 3.001)],
        "syn_retransmits": {"0": 17, "1": 30, "2": 353},
        "timeline": slow_timeline(),
        "server": local(full, deltas=deltas(ListenOverflows=920, ListenDrops=920)),
    }
    return run(**{**values, **fields})


def outrun(
    came_per_s: float = 50.0,
    accepts_per_s: float = 10.0,
    *,
    limit: int = 16,
    depths: Callable[[int], int] | None = None,
    accepted: Callable[[int], int] | None = None,
    ran_s: float | None = 0.03,
    waited_s: float = 0.01,
    **fields: Any,
) -> RunResult:
    """churn --rate 50 -d 3 --timeout 1s against a server that takes one in 100 ms, and sleeps in between.

    `depths` and `accepted`: of the queue, and in all, by each tenth of a second, where they are not the steady ones.
    `ran_s` None: how its thread fared was not seen.
    """
    depths = depths or (lambda tenth: min(limit + 1, round((came_per_s - accepts_per_s) * tenth / 10)))
    accepted = accepted or (lambda tenth: round(accepts_per_s * tenth / 10))
    timeline = [
        point(
            tenth / 10,
            attempted=round(came_per_s * tenth / 10),
            connected=depths(tenth) + accepted(tenth),
            queue_depth=depths(tenth),
            queue_limit=limit,
            passive_opens=depths(tenth) + accepted(tenth),
        )
        for tenth in range(31)
    ]
    thread = Thread(tid=4321, state="S", ran_ns=10**9, waited_ns=10**9)
    later = thread.replace(ran_ns=10**9 + round((ran_s or 0) * 1e9), waited_ns=10**9 + round(waited_s * 1e9))
    ends = [
        Process(pid=4321, name="app", fds=20, nofile_soft=1024, started_ticks=3,
                threads=None if ran_s is None else [one])
        for one in (thread, later)
    ]  # fmt: skip
    before, after = (
        snapshot(
            taken_at_s=at_s,
            listeners=[
                Listener(family=4, address="127.0.0.1", port=5000, depth=0, limit=limit, inode=3, owners=[owner])
            ],
        )
        for at_s, owner in zip((10.0, 13.0), ends, strict=True)
    )
    full = watch(limit=limit, worst_depth=limit + 1, full_samples=25, drops=190, queued_at_end=0, accepted_at_end=0)
    lost = round((came_per_s - accepts_per_s) * 3)
    values: dict[str, Any] = {
        "config": {"connections": 200, "rate_per_s": came_per_s, "timeout_s": 1.0},
        "funnel": funnel(150, 150 - lost, accepted=None, completed=30),
        "failures": [failure("connect", "own_timeout", lost, 1.0)],
        "timeline": timeline,
        "elapsed_s": 3.0,
        "server": local(
            full, deltas=deltas(ListenOverflows=190, ListenDrops=190), before=before, after=after, processes=[ends[1]]
        ),
    }
    return run("churn", **{**values, **fields})


def server_without_descriptors(**fields: Any) -> RunResult:
    """hold -n 400 against a server under `ulimit -n 64`."""
    full = watch(
        worst_depth=129,
        last_depth=129,
        full_samples=28,
        rose_only=True,
        drops=842,
        queued_at_end=129,
        accepted_at_end=57,
    )
    owner = Process(pid=4321, name="python3", fds=64, nofile_soft=64, nofile_hard=64)
    values: dict[str, Any] = {
        "funnel": funnel(400, 186, accepted=57, completed=186),
        "failures": [failure("connect", "own_timeout", 214, 3.001)],
        "syn_retransmits": {"0": 186, "2": 214},
        "server": local(full, deltas=deltas(ListenOverflows=842, ListenDrops=842), processes=[owner]),
    }
    return run(**{**values, **fields})


def leaking(*, unclosed: int = 140, fds: int = 128, nofile: int = 128) -> RunResult:
    """churn -c 8 against a server under `ulimit -n 128` that closes nothing: 123 accepted, 17 in its queue."""
    owner = Process(pid=4321, name="python3", fds=fds, nofile_soft=nofile, nofile_hard=nofile)
    sockets = ServerSockets(port=5000, states={"CLOSE-WAIT": unclosed}, queued=17, accepted=unclosed - 17)
    listener = Listener(family=4, address="127.0.0.1", port=5000, depth=17, limit=16)
    return run(
        command="churn",
        funnel=funnel(204, 140, completed=140),
        failures=[failure("connect", "own_timeout", 64, 0.503)],
        server=local(
            watch(limit=16, worst_depth=17, last_depth=17, full_samples=33, drops=64),
            deltas=deltas(ListenOverflows=64, ListenDrops=64),
            processes=[owner],
            after=snapshot(listeners=[listener], server_sockets=sockets),
        ),
    )


def client_without_descriptors(**fields: Any) -> RunResult:
    """The client under `ulimit -n 64`."""
    values: dict[str, Any] = {
        "funnel": funnel(400, 96),
        "failures": [failure("connect", "EMFILE", 304, 0.002)],
        "syn_retransmits": {"0": 96},
        "client": {"workers": [worker(worst_fds=64, nofile_soft=64, cpu_fraction=0.04)]},
    }
    return run(**{**values, **fields})


def refused(**fields: Any) -> RunResult:
    """Towards a closed port of this host."""
    values: dict[str, Any] = {
        "funnel": funnel(400, 0, accepted=None, completed=0),
        "failures": [failure("connect", "ECONNREFUSED", 400, 0.001)],
        "latency": Latency(),
        "syn_retransmits": {},
        "client": {"port_use": ports(used=0, worst_source_used=0)},
        "server": remote("nothing listens on 127.0.0.1:5000"),
    }
    return run(**{**values, **fields})


def port_taken(
    holder: PortHolder | None = None, *, before: bool = True, after: bool = True, refused: int = 400, **fields: Any
) -> RunResult:
    """hold -n 400 at port 40000, where nobody listens, for curl connects to somebody's port 443 from it."""
    curl = Process(pid=77, name="curl")
    if holder is None:
        holder = PortHolder(state="ESTAB", address="10.0.0.5", peer_address="192.0.2.7", peer_port=443, owner=curl)
    ends = [
        snapshot(
            listeners=[],
            port_holders=[holder] if has else [],
            server_sockets=ServerSockets(port=40_000, states={}, queued=0, accepted=0),
        )
        for has in (before, after)
    ]
    values: dict[str, Any] = {
        "config": {"target": "10.0.0.5:40000", "port": 40_000},
        "client": {"port_use": None},
        "funnel": funnel(400, 400 - refused, accepted=None),
        "failures": [failure("connect", "ECONNREFUSED", refused)] if refused else [],
        "syn_retransmits": {},
        "server": ServerSide(observed=True, before=ends[0], after=ends[1], deltas=deltas(Tcp_OutRsts=400)),
    }
    return run(**{**values, **fields})


def churned_out(**fields: Any) -> RunResult:
    """churn in a namespace with a ten-port range."""
    values: dict[str, Any] = {
        "config": {"connections": 100, "timeout_s": 0.5},
        "funnel": funnel(81_340, 30, accepted=30, completed=30),
        "failures": [failure("connect", "EADDRNOTAVAIL", 81_310, 0.001)],
        "syn_retransmits": {"0": 30},
        "client": {"port_use": ports(used=10, time_wait=10, worst_source_used=10, capacity=10)},
        "timeline": [
            point(0.1 * i, attempted=2710 * i, connected=10, completed=10, failed=2710 * i, time_wait=10 if i else 0)
            for i in range(31)
        ],
    }
    return run("churn", **{**values, **fields})


def range_full(**fields: Any) -> RunResult:
    """hold -n 20 in a ten-port range; on closing it leaves ten TIME_WAIT behind."""
    values: dict[str, Any] = {
        "config": {"connections": 20},
        "funnel": funnel(20, 10),
        "failures": [failure("connect", "EADDRNOTAVAIL", 10, 0.001)],
        "syn_retransmits": {"0": 10},
        "client": {"port_use": ports(used=10, time_wait=10, worst_source_used=10, capacity=10)},
        "timeline": [
            point(0.0),
            point(0.1, attempted=20, connected=10, failed=10, open=10, time_wait=0),
            point(3.1, attempted=20, connected=10, failed=10, completed=10, time_wait=10),
        ],
    }
    return run(**{**values, **fields})


def generator_late(**fields: Any) -> RunResult:
    values: dict[str, Any] = {
        "config": {"connections": 800, "timeout_s": 0.3},
        "funnel": funnel(800, 650),
        "failures": [failure("connect", "own_timeout", 150, 0.3)],
        "syn_retransmits": {"0": 800},
        "client": {"workers": [worker(worst_lag_ms=420.0)]},
    }
    return run(**{**values, **fields})


# The shapes of the path, of cookies and of short connections --------------------------------------------------------


def sent_again(times: int) -> dict[str, Any]:
    """The client's end, where so many SYNs were sent again."""
    return {"deltas": {"TcpExt.TCPSynRetrans": times}}


def untouched(passive_opens: int = 0, **fields: Any) -> ServerSide:
    """The server's end, where nothing was turned away and so many connections were opened."""
    counters = {**deltas(), "Tcp.PassiveOpens": passive_opens}
    return local(watch(accepted_at_end=passive_opens), **{"deltas": counters, **fields})


def dropped(**fields: Any) -> RunResult:
    """hold -n 400 through `nft ... drop`."""
    values: dict[str, Any] = {
        "funnel": funnel(400, 0, accepted=0, completed=0),
        "failures": [failure("connect", "own_timeout", 400, 3.0)],
        "latency": Latency(),
        "syn_retransmits": {},
        "client": sent_again(800),
        "server": untouched(),
    }
    return run(**{**values, **fields})


def rejected(errno: str = "ECONNREFUSED", **fields: Any) -> RunResult:
    """hold -n 400 through `nft ... reject`, towards a listener that is there."""
    values: dict[str, Any] = {"failures": [failure("connect", errno, 400, 0.001)], "client": sent_again(0)}
    return dropped(**{**values, **fields})


def elsewhere(resets: int | None = 400, address: str = "127.0.0.1") -> RunResult:
    """hold -n 400 towards 192.0.2.7, whose server listens at `address`; its host sends so many RSTs."""
    at = snapshot(listeners=[Listener(family=4, address=address, port=5000, depth=0, limit=128)])
    counted = deltas(Tcp_PassiveOpens=0, Tcp_OutRsts=resets or 0)
    if resets is None:
        del counted["Tcp.OutRsts"]
    return rejected(config={"target": "192.0.2.7:5000"}, server=untouched(before=at, after=at, deltas=counted))


def table_full(**fields: Any) -> RunResult:
    """hold -n 400 through `ct state new ct count over 250 drop`."""
    values: dict[str, Any] = {
        "funnel": funnel(400, 250),
        "failures": [failure("connect", "own_timeout", 150, 3.0)],
        "syn_retransmits": {"0": 250},
        "client": sent_again(300),
        "server": untouched(250),
    }
    return run(**{**values, **fields})


def refused_beyond(stayed: int = 150, refused: int = 250, resets: int = 0, icmp: int = 0, **fields: Any) -> RunResult:
    """hold -n 400 through `ct count over 150 reject with tcp reset`, and one more connect after 2 s."""
    failures = [failure("connect", "ECONNREFUSED", refused, 0.02).replace(last_s=0.1)] if refused else []
    values: dict[str, Any] = {
        "funnel": funnel(400, stayed),
        "failures": failures,
        "client": {"deltas": deltas(Icmp_InDestUnreachs=icmp)},
        "server": untouched(stayed, deltas=deltas(Tcp_PassiveOpens=stayed, Tcp_OutRsts=resets)),
        "arrival_order": in_order(stayed, refused),
        "late_connect": LateConnect(at_s=2.0, open=stayed, errno="ECONNREFUSED") if stayed and refused else None,
    }
    return run(**{**values, **fields})


def lossy(late: int = 20, **fields: Any) -> RunResult:
    """hold -n 400 where one SYN in twenty is lost."""
    slow = percentiles(61.0).replace(p99=1_020_000.0, max=2_040_000.0)
    values: dict[str, Any] = {
        "latency": Latency(connect_us=slow if late else percentiles(61.0)),
        "syn_retransmits": {"0": 400 - late, "1": late},
        "client": sent_again(late),
        "server": untouched(400),
    }
    return run(**{**values, **fields})


def conntrack(drop: int | None = 0, count: int | None = 12, maximum: int | None = 65_536) -> Snapshot:
    return snapshot(conntrack=Conntrack(count=count, maximum=maximum, drop=drop))


def conntrack_full(**fields: Any) -> RunResult:
    """The client's own table is full."""
    ends = {"before": conntrack(7), "after": conntrack(457, 65_536)}
    return table_full(**{"client": {**sent_again(300), **ends}, **fields})


def poisoned(**fields: Any) -> RunResult:
    """hold -n 100 in a range of 200 ports of which bind() owns 150."""
    values: dict[str, Any] = {
        "config": {"connections": 100},
        "funnel": funnel(100, 50),
        "failures": [failure("connect", "EADDRNOTAVAIL", 50)],
        "syn_retransmits": {"0": 50},
        "client": {"port_use": ports(used=50, worst_source_used=50, capacity=200, bound=150)},
    }
    return run(**{**values, **fields})


def syn_flooded(**counters: int) -> RunResult:
    """Cookies off and a flood: SYNs find the SYN queue full."""
    moved = deltas(**{"TCPReqQFullDrop": 900, "ListenDrops": 900, **counters})
    off = snapshot(sysctls={"net.ipv4.tcp_syncookies": [0]})
    return run(
        funnel=funnel(400, 100),
        failures=[failure("connect", "own_timeout", 300, 3.0)],
        syn_retransmits={"0": 90, "1": 10},
        client=sent_again(900),
        server=local(watch(drops=900, accepted_at_end=100), deltas=moved, before=off, after=off),
    )


def reset_by_cookies(resets: int = 214, **fields: Any) -> RunResult:
    """docs/kernel.md rule 15: 400 clients that write at once, backlog 128, the server paused for 0.3 s."""
    full = watch(worst_depth=129, drops=2300, full_samples=3, queued_at_end=0, accepted_at_end=186)
    moved = deltas(ListenOverflows=2300, ListenDrops=2300, SyncookiesFailed=2140, SyncookiesSent=271)
    limit = snapshot(sysctls={"net.core.somaxconn": [4096]})
    values: dict[str, Any] = {
        "funnel": funnel(400, 400, accepted=186, first_byte=186, completed=186),
        "failures": [failure("write", "ECONNRESET", resets)] if resets else [],
        "error_orders": [ErrorOrder(order=["ECONNRESET", "EPIPE", "eof"], count=resets)] if resets else [],
        "server": local(full, deltas=moved, before=limit),
    }
    return run("bench", **{**values, **fields})


def aborted(**fields: Any) -> RunResult:
    """The same with tcp_abort_on_overflow and without cookies."""
    full = watch(worst_depth=129, drops=271, full_samples=3, queued_at_end=0, accepted_at_end=186)
    moved = deltas(ListenOverflows=271, ListenDrops=271, EmbryonicRsts=214)
    on = {"net.ipv4.tcp_abort_on_overflow": [1], "net.core.somaxconn": [4096]}
    return reset_by_cookies(**{"server": local(full, deltas=moved, before=snapshot(sysctls=on)), **fields})


def storm(timeout_s: float | None = 0.5, **fields: Any) -> RunResult:
    """Churn with 0.5 s of patience over a backlog of 128."""
    full = watch(worst_depth=120, drops=370, accepted_at_end=0)
    values: dict[str, Any] = {
        "config": {"connections": 200, "timeout_s": timeout_s},
        "funnel": funnel(46_000, 45_630, accepted=None, completed=45_630),
        "failures": [failure("connect", "own_timeout", 370, 0.5)],
        "syn_retransmits": {"0": 45_630},
        "server": local(full, deltas=deltas(ListenOverflows=370, ListenDrops=370)),
    }
    return run("churn", **{**values, **fields})


def clamped(asked: int | None = 1024, **fields: Any) -> RunResult:
    """hold -n 400 at once against a server that asked for 1,024 and was granted 128, with somaxconn 128."""
    full = watch(worst_depth=129, drops=300, full_samples=4, queued_at_end=0, accepted_at_end=400)
    values: dict[str, Any] = {
        "config": {"backlog_asked": asked},
        "syn_retransmits": {"0": 200, "1": 200},
        "server": local(full, deltas=deltas(ListenOverflows=300, ListenDrops=300)),
    }
    return run(**{**values, **fields})


def starved(cpu_s: float = 6.0, **fields: Any) -> RunResult:
    """hold -n 400 --ramp 200: one thread accepts, many others burn both cores."""
    fields["config"] = {"ramp_per_s": 200.0, **fields.get("config", {})}
    owner = Process(pid=4321, name="app", fds=90, nofile_soft=1024, cpu_s=10.0)
    before = snapshot(listeners=[Listener(family=4, address="127.0.0.1", port=5000, depth=0, limit=16, owners=[owner])])
    full = watch(
        limit=16, worst_depth=17, last_depth=13, full_samples=12, drops=920, queued_at_end=13, accepted_at_end=60
    )
    server = local(
        full,
        deltas=deltas(ListenOverflows=920, ListenDrops=920),
        before=before,
        processes=[owner.replace(cpu_s=10.0 + cpu_s)],
    )
    return overflowed(**{"server": server, **fields})


def held_by_quota(
    stopped: int = 38,
    stopped_s: float = 3.2,
    *,
    ran_s: float = 0.8,
    waited_s: float = 3.1,
    periods: int = 40,
    drops: int = 240,
    late: int = 0,
    **fields: Any,
) -> RunResult:
    """churn of 4 s against a server whose cgroup may use 0.2 cores, and was stopped in so many of 40 periods."""
    quota = CgroupCpu(path="/sys/fs/cgroup/web", cores=0.2, periods=100, throttled=7, throttled_us=500_000)
    used = quota.replace(
        periods=100 + periods, throttled=7 + stopped, throttled_us=500_000 + round(stopped_s * 1_000_000)
    )
    first = Thread(tid=4321, state="S", ran_ns=10**9, waited_ns=10**9)
    last = first.replace(ran_ns=10**9 + round(ran_s * 1e9), waited_ns=10**9 + round(waited_s * 1e9))
    ends = [
        Process(pid=4321, name="gunicorn", fds=20, nofile_soft=1024, started_ticks=3, cpu_s=cpu_s,
                thread_states={"S": 1}, threads=[thread], cgroup_cpu=cgroup)
        for cpu_s, thread, cgroup in ((1.0, first, quota), (1.0 + ran_s, last, used))
    ]  # fmt: skip
    depth = 9 if drops else 0
    before, after = (
        snapshot(
            taken_at_s=at_s,
            listeners=[Listener(family=4, address="127.0.0.1", port=5000, depth=0, limit=8, inode=3, owners=[owner])],
        )
        for at_s, owner in zip((10.0, 14.0), ends, strict=True)
    )
    server = local(
        watch(limit=8, worst_depth=depth, drops=drops, queued_at_end=0, accepted_at_end=0),
        before=before,
        after=after,
        deltas=deltas(ListenOverflows=drops, ListenDrops=drops),
        processes=[ends[1]],
    )
    lost = [failure("connect", "own_timeout", 60, 1.0)] if drops else []
    values: dict[str, Any] = {
        "funnel": funnel(460, 400 if drops else 460, accepted=None, first_byte=400 - late, completed=400 - late),
        "failures": [*lost, *([failure("read", "own_timeout", late, 1.0)] if late else [])],
        "server": server,
        "elapsed_s": 4.0,
    }
    return run("churn", **{**values, **fields})


def short_of_tasks(
    refused: int = 37,
    *,
    user: tuple[int, int] | None = None,
    ended: int = 37,
    waiting: int = 0,
    **fields: Any,
) -> RunResult:
    """hold -n 60 against a forking server in a cgroup that may have 24 tasks; or whose user has so many of so many."""
    then = Tasks(cgroup="/sys/fs/cgroup/pids/web", cgroup_most=24, in_cgroup=1, refused=5)
    now = then.replace(in_cgroup=24, refused=5 + refused)
    if user is not None:
        then, now = Tasks(user_most=user[1], of_user=1), Tasks(user_most=user[1], of_user=user[0])
    owner = Process(pid=4321, name="sshd", fds=20, nofile_soft=1024, started_ticks=3, thread_states={"S": 1})
    ends = [
        snapshot(
            taken_at_s=at_s,
            listeners=[
                Listener(family=4, address="127.0.0.1", port=5000, depth=waiting, limit=128, inode=3,
                         owners=[owner.replace(tasks=tasks)])
            ],
        )
        for at_s, tasks in ((10.0, then), (13.0, now))
    ]  # fmt: skip
    watched = watch(worst_depth=waiting, last_depth=waiting, queued_at_end=waiting, accepted_at_end=60 - waiting)
    values: dict[str, Any] = {
        "config": {"connections": 60},
        "funnel": funnel(60, 60, accepted=None, completed=60 - ended - waiting),
        "failures": [failure("read", "eof", ended)] if ended else [],
        "timeline": kept_timeline(60 - ended, ended),
        "server": local(
            watched,
            before=ends[0],
            after=ends[1],
            deltas=deltas(Tcp_ActiveOpens=60),
            processes=[owner.replace(tasks=now)],
        ),
        "arrival_order": in_order(60 - ended, ended),
    }
    return run(**{**values, **fields})


def deferred(dropped: int = 400, **fields: Any) -> RunResult:
    """churn of 400 silent clients that wait for the server to close, against a listener with TCP_DEFER_ACCEPT."""
    silent = watch(drops=dropped, queued_at_end=0, accepted_at_end=0)
    values: dict[str, Any] = {
        "config": {"connections": 400, "size_bytes": 0, "first_close": "server", "timeout_s": 1.0},
        "funnel": funnel(400, 400, accepted=None, completed=0),
        "failures": [failure("read", "own_timeout", 400, 1.0)],
        "server": local(silent, deltas=deltas(TCPDeferAcceptDrop=dropped, ListenDrops=0)),
    }
    return run("churn", **{**values, **fields})


def own_reject(count: int = 20, received: int = 20, made: int = 20, **risen: int) -> RunResult:
    """`nft … output … reject`: each connect meets an ICMP error that this host made itself."""
    icmp = {"Icmp_InDestUnreachs": received, "Icmp_OutDestUnreachs": made}
    return run(
        funnel=funnel(20, 0),
        failures=[failure("connect", "ECONNREFUSED", count)],
        syn_retransmits={},
        server=remote(),
        client={"deltas": deltas(**icmp, **risen)},
    )


def neighbour_absent(errno: str = "own_timeout", held_back: int = 40, again: int = 0, icmp: int = 20) -> RunResult:
    """Three tries of ARP end after 3.06 s: before it our own timeout of 3 s, after it EHOSTUNREACH."""
    risen = {
        "Icmp_InDestUnreachs": icmp,
        "Icmp_OutDestUnreachs": icmp,
        "TCPSpuriousRtxHostQueues": held_back,
        "TCPSynRetrans": again,
        "TCPTimeouts": 40,
    }
    return run(
        funnel=funnel(20, 0),
        failures=[failure("connect", errno, 20)],
        syn_retransmits={},
        server=remote(),
        client={"deltas": deltas(**risen)},
    )


def without_route_back(routes: int = 40, drops: int = 40, own: int | None = 40, cookies: int = 1) -> RunResult:
    """20 connects, each sent twice: the listener dropped each SYN, for its answer had no route."""
    before = snapshot(sysctls={"net.ipv4.tcp_syncookies": [cookies]})
    risen = {"Ip_OutNoRoutes": routes, "ListenDrops": drops, "Tcp_PassiveOpens": 0}
    return run(
        funnel=funnel(20, 0),
        failures=[failure("connect", "own_timeout", 20)],
        syn_retransmits={"1": 20},
        client={"deltas": deltas(TCPSynRetrans=20)},
        server=local(watch(drops=own, accepted_at_end=0), deltas=deltas(**risen), before=before, after=before),
    )


def reverse_path(dropped: int | None = 40, again: int = 20, **fields: Any) -> RunResult:
    """20 connects, each sent twice: rp_filter of the server's host dropped every SYN."""
    counted = deltas(IPReversePathFilter=dropped or 0, Tcp_PassiveOpens=0)
    if dropped is None:
        del counted["TcpExt.IPReversePathFilter"]
    values: dict[str, Any] = {
        "funnel": funnel(20, 0),
        "failures": [failure("connect", "own_timeout", 20)],
        "syn_retransmits": {"1": 20},
        "client": {"deltas": deltas(TCPSynRetrans=again)},
        "server": local(watch(accepted_at_end=0), deltas=counted),
    }
    return run(**{**values, **fields})


def refused_by_time_wait(
    refused: int | None = 28, again: int = 21, timeouts: int = 7, late: int = 0, counter: str = "PAWSTimewait"
) -> RunResult:
    """churn of two clients behind a NAT of 20 ports: each refused SYN is sent again at once, and refused again."""
    counted = deltas(**{counter: refused or 0}, Tcp_PassiveOpens=89)
    for name in {"PAWSTimewait"} - ({counter} if refused is not None else set()):
        del counted[f"TcpExt.{name}"]
    if refused is None:
        del counted["TcpExt.PAWSEstab"]
    return run(
        "churn",
        config={"connections": 4, "timeout_s": 1.0},
        funnel=funnel(89 + timeouts, 89),
        failures=[failure("connect", "own_timeout", timeouts)] if timeouts else [],
        syn_retransmits={"0": 89 - late, "1": late},
        client={"deltas": deltas(TCPSynRetrans=again, Tcp_OutRsts=28)},
        server=local(watch(accepted_at_end=0), deltas=counted),
    )


def data_lost(
    stalled: int = 8,
    again: int = 24,
    left: int = 8,
    *,
    answers: int = 0,
    left_there: int = 0,
    syns: int = 0,
    size: int = 64,
    **fields: Any,
) -> RunResult:
    """bench -c 8: all connect; what the client sends, or the server, is sent again and never acknowledged."""
    before = snapshot(states={"ESTAB": 3})
    sockets = ServerSockets(port=5000, states={"LAST-ACK": left_there, "ESTAB": 8}, queued=0, accepted=8)
    client = {
        "before": before,
        "after": before.replace(states={"ESTAB": 3, "FIN-WAIT-1": left}),
        "deltas": deltas(TCPTimeouts=again + syns, TCPSynRetrans=syns),
    }
    values: dict[str, Any] = {
        "config": {"connections": 8, "size_bytes": size, "mode": "rr", "timeout_s": 1.5},
        "funnel": funnel(8, 8, completed=8 - stalled),
        "failures": [failure("read", "own_timeout", stalled, 1.5)] if stalled else [],
        "syn_retransmits": {"0": 8},
        "client": client,
        "server": local(deltas=deltas(TCPTimeouts=answers), after=snapshot(server_sockets=sockets)),
    }
    return run("bench", **{**values, **fields})


def stall(asked_s: float = 1.2, heard_s: float = 1.195, *, received: int = 6400, unacked: int = 1) -> Stall:
    """One of the connections of `vanished`, given up 1.5 s after it had asked."""
    return Stall(
        connection="10.0.0.9:40112 -> 192.0.2.7:5000", at_s=asked_s + 1.5, asked_s=asked_s, heard_s=heard_s,
        received_s=heard_s, unacked=unacked, retransmits=3 * unacked, backoff=3 * unacked, total_retrans=3,
        rto_us=1_632_000, bytes_acked=received + 1, bytes_received=received, snd_mss=1448, pmtu=1500,
    )  # fmt: skip


def vanished(
    stalled: int = 8,
    unacknowledged: int | None = None,
    *,
    sample: list[Stall] | None = None,
    heard_s: float = 1.2,
    after: ConnectAfter | None = ConnectAfter(errno="own_timeout", waited_s=2.2),  # noqa: B008
    **fields: Any,
) -> RunResult:
    """bench -c 8 -d 2: all are answered, until from 1.2 s on nothing comes from the peer any more."""
    lost = stalled if unacknowledged is None else unacknowledged
    rising = [point(t / 10, attempted=8, connected=8, open=8, requests=min(t, 12) * 100) for t in range(1, 27)]
    values: dict[str, Any] = {
        "requests": Requests(count=1200, per_second=1000.0, bytes=76_800, seconds=1.2),
        "timeline": rising,
        "stalls": Stalls(count=stalled, unacknowledged=lost, heard_s=heard_s, sample=sample or [stall()] * lost),
        "connect_after": after,
        "server": remote(),
    }
    return data_lost(stalled=stalled, **{**values, **fields})


def first_dead(
    errno: str | None = "ECONNREFUSED", then: str | None = None, *, said_by: str | None = None, **fields: Any
) -> RunResult:
    """hold -n 20 localhost:5000: refused at ::1, and one connect after the run to each address gave these."""
    first = ConnectAfter(errno=errno, said_by=said_by, said="address unreachable" if said_by else None)
    addresses = [
        NameAddress(address="[::1]:5000", connect=first),
        NameAddress(address="127.0.0.1:5000", connect=ConnectAfter(errno=then)),
    ]
    config = {"target": "[::1]:5000", "target_name": "localhost", "connections": 20}
    failures = [failure("connect", errno, 20)] if errno else []
    values: dict[str, Any] = {
        "funnel": funnel(20, 0 if errno else 20), "failures": failures, "addresses": addresses, "server": remote(),
        "syn_retransmits": {},
    }  # fmt: skip
    return run("hold", config=config, **{**values, **fields})


def rate_limited(
    per_s: float = 20.0,
    burst: int = 10,
    *,
    begun: list[int] | None = None,
    through: list[int] | None = None,
    late: int = 0,
    **fields: Any,
) -> RunResult:
    """churn --rate 100 -d 4: `begun` and `through` each tenth of a second, repeated; as even as a clock by default."""
    begun = begun or [4, 9, 17, 12, 6, 3, 14, 16, 8, 11]
    timeline, attempted, connected = [point(0.0)], 0, 0
    for tenth in range(1, 41):
        attempted += begun[tenth % len(begun)]
        passes = burst + int(per_s * tenth / 10)
        connected = connected + through[tenth % len(through)] if through else passes
        connected = min(connected, attempted)
        timeline.append(
            point(tenth / 10, attempted=attempted, connected=connected, failed=max(0, attempted - connected))
        )
    timeline.append(timeline[-1].replace(t_s=4.5))
    lost = attempted - connected
    values: dict[str, Any] = {
        "config": {"connections": 120, "rate_per_s": 100.0, "timeout_s": 0.5},
        "funnel": funnel(attempted, connected),
        "failures": [failure("connect", "own_timeout", lost)],
        "syn_retransmits": {"0": connected - late, "1": late},
        "client": sent_again(0),
        "server": untouched(connected),
        "timeline": timeline,
    }
    return run("churn", **{**values, **fields})


def big_lost(small: bool = True, full: bool = False, **fields: Any) -> RunResult:
    """The same with requests of 4,000 bytes, and what became of one in small segments and of one in full ones."""
    probe = SizeProbe(
        size_bytes=4000, small_mss=536, small_acknowledged=small, small_answered=small,
        full_acknowledged=full if small else None, full_answered=full if small else None,
    )  # fmt: skip
    return data_lost(**{"size": 4000, "size_probe": probe, **fields})


def quarter_dead(
    late: int = 0, timeouts: int = 100, later: int = 240, timeout_s: float = 3.0, server: ServerSide | None = None
) -> RunResult:
    """400 connects over 4 s; the first failure shows after 60 of them had succeeded."""
    untouched = watch(drops=0, accepted_at_end=0)
    return run(
        "churn",
        config={"timeout_s": timeout_s, "rate_per_s": 100},
        funnel=funnel(400, 60 + later),
        failures=[failure("connect", "own_timeout", timeouts)],
        syn_retransmits={"0": 60 + later - late, "1": late, "2": timeouts if timeout_s > 1 else 0},
        client={"deltas": deltas(TCPSynRetrans=2 * timeouts if timeout_s > 1 else 0)},
        server=local(untouched, deltas=deltas(Tcp_PassiveOpens=60 + later)) if server is None else server,
        timeline=[
            point(1.0, attempted=100, connected=60),
            point(1.1, attempted=110, connected=60, failed=1),
            point(4.0, attempted=400, connected=60 + later, failed=timeouts),
        ],
    )


def nat_without_ports(
    failed: int | None = 57, dropped: int | None = 57, timeouts: int = 19, count: int = 11
) -> RunResult:
    def tracked(**counted: int | None) -> Conntrack:
        return Conntrack(count=count, maximum=262_144, early_drop=0, **counted)

    before = snapshot(conntrack=tracked(drop=dropped and 0, insert_failed=failed and 0))
    after = snapshot(conntrack=tracked(drop=dropped, insert_failed=failed))
    return run(
        funnel=funnel(30, 11),
        failures=[failure("connect", "own_timeout", timeouts)] if timeouts else [],
        syn_retransmits={"0": 11, "2": timeouts},
        server=remote(),
        # The host itself drops the packet, so sending it again fails as well.
        client={"before": before, "after": after, "deltas": deltas(TCPRetransFail=38, TCPSynRetrans=38)},
    )


def over_its_limit(
    stayed: int = 150,
    ended: int = 250,
    failures: list[Failure] | None = None,
    timeline: list[TimelinePoint] | None = None,
    **fields: Any,
) -> RunResult:
    """hold -n 400 against a program that keeps 150, and closes at once what it accepts beyond."""
    values: dict[str, Any] = {
        "funnel": funnel(400, 400, accepted=None, completed=stayed),
        "failures": [failure("read", "eof", ended)] if failures is None else failures,
        "timeline": kept_timeline(stayed, ended) if timeline is None else timeline,
        "server": local(watch(accepted_at_end=stayed)),
        "arrival_order": in_order(stayed, ended),
    }
    return run(**{**values, **fields})


def in_order(stayed: int, failed: int, share: float = 1.0) -> ArrivalOrder | None:
    """Such a share of the pairs is in order: those that stayed had come first."""
    pairs = stayed * failed
    return ArrivalOrder(stayed=stayed, failed=failed, pairs=pairs, in_order=round(share * pairs)) if pairs else None


def kept_timeline(stayed: int, ended: int, closed_at_s: float = 0.1, seconds: float = 3.0) -> list[TimelinePoint]:
    """400 at once, of which so many end at one moment; the load closes what is left at its end."""
    points = []
    for tick in range(1, round(seconds * 10) + 1):
        closed = tick / 10 >= closed_at_s
        left = stayed if closed else stayed + ended
        told = {"failures": {"read eof": ended}, "failed": ended} if closed else {}
        seen = {"queue_depth": 0, "server_held": left, "passive_opens": 400}
        points.append(point(tick / 10, attempted=400, connected=400, open=left, **told, **seen))
    return [*points, point(seconds + 0.1, attempted=400, connected=400, completed=stayed, failed=ended)]


def cut_short(reset: int = 100, unread: int | None = 100, **fields: Any) -> RunResult:
    """churn -s 64 -n 100 against a program that reads 10 bytes and closes."""
    risen = {"TCPAbortOnClose": unread, "Tcp_OutRsts": reset}
    values: dict[str, Any] = {
        "config": {"connections": 5, "size_bytes": 64},
        "funnel": funnel(100, 100, accepted=None, completed=100 - reset),
        "failures": [failure("read", "ECONNRESET", reset)] if reset else [],
        "server": local(watch(accepted_at_end=0), deltas=deltas(**{k: v for k, v in risen.items() if v is not None})),
    }
    return run("churn", **{**values, **fields})


def without_backend(
    closed: int = 40, refused: int = 40, opened: int | None = None, embryonic: int = 0, **fields: Any
) -> RunResult:
    """hold -n 40 against a proxy on another host whose backend does not listen."""
    risen = {"Tcp_AttemptFails": refused, "Tcp_ActiveOpens": refused if opened is None else opened}
    values: dict[str, Any] = {
        "config": {"connections": 40},
        "funnel": funnel(40, 40, accepted=None, completed=40 - closed),
        "failures": [failure("read", "eof", closed)] if closed else [],
        "server": local(
            watch(accepted_at_end=0), via="ssh proxy estab observe", deltas=deltas(EmbryonicRsts=embryonic, **risen)
        ),
    }
    return run(**{**values, **fields})


def died(
    ended: int = 400, span_s: tuple[float, float] = (0.52, 0.53), now: list[Listener] | None = None, **fields: Any
) -> RunResult:
    """hold -n 400 against a server that is killed after half a second; `now`: what listens at the end."""
    owner = Process(pid=4321, name="python3", fds=410, nofile_soft=1024)
    then = Listener(family=4, address="127.0.0.1", port=5000, depth=0, limit=128, inode=11, owners=[owner])
    after = snapshot(listeners=[] if now is None else now)
    values: dict[str, Any] = {
        "funnel": funnel(400, 400, accepted=None, completed=400 - ended),
        "failures": [failure("read", "eof", ended, span_s[0]).replace(last_s=span_s[1])] if ended else [],
        "timeline": kept_timeline(400 - ended, ended, closed_at_s=0.6),
        "server": local(watch(accepted_at_end=400, inode=11), before=snapshot(listeners=[then]), after=after),
    }
    return run(**{**values, **fields})


def closed_silent(
    ended: int = 400,
    span_s: tuple[float, float] = (1.01, 1.03),
    own_connects: int = 0,
    own_resets: int = 0,
    **fields: Any,
) -> RunResult:
    """hold -n 400, silent, against a program that closes what was silent for a second."""
    owner = Process(pid=4321, name="node", fds=410, nofile_soft=1024)
    there = Listener(family=4, address="127.0.0.1", port=5000, depth=0, limit=128, inode=11, owners=[owner])
    ends = {"before": snapshot(listeners=[there]), "after": snapshot(listeners=[there])}
    risen = deltas(Tcp_ActiveOpens=400 + own_connects, Tcp_OutRsts=own_resets)
    values: dict[str, Any] = {
        "funnel": funnel(400, 400, accepted=None, completed=400 - ended),
        "failures": [failure("read", "eof", ended, span_s[0]).replace(last_s=span_s[1])] if ended else [],
        "timeline": kept_timeline(400 - ended, ended, closed_at_s=1.1),
        "server": local(watch(accepted_at_end=400, inode=11), deltas=risen, **ends),
    }
    return run(**{**values, **fields})


def borne(gap_s: float) -> IdleGap:
    """Two connections that rested for so long again and again, and were answered to the end of the load."""
    return IdleGap(gap_s=gap_s, connections=2, rested=2, answered=8, last_answer_s=40.0)


def ended(gap_s: float, *, closed: int = 0, reset: int = 0, silent: int = 0, asked: bool = False) -> IdleGap:
    """Two that were ended after 7 s, or by themselves never: `asked` (and silent) when they were asked again."""
    number, vain = closed + reset + silent, asked or silent > 0
    least_s = gap_s if vain else 7.0
    return IdleGap(
        gap_s=gap_s, connections=2, rested=2, closed=closed, reset=reset, silent=silent, unacknowledged=silent,
        unasked=0 if vain else number, least_s=least_s, most_s=least_s if vain else 7.1,
        first_s=least_s + 1.0, last_s=least_s + 1.5,
    )  # fmt: skip


def rested(*gaps: IdleGap, **fields: Any) -> RunResult:
    """hold --gaps …: two connections for each rest, which begin half a second apart."""
    connections = sum(gap.connections for gap in gaps)
    kinds = {
        ("read", "eof"): sum(gap.closed for gap in gaps),
        ("read", "ECONNRESET"): sum(gap.reset for gap in gaps),
        ("read", "own_timeout"): sum(gap.silent for gap in gaps),
    }
    failures = [failure(*kind, count, 8.0).replace(last_s=9.0) for kind, count in kinds.items() if count]
    asked = {"connections": connections, "timeout_s": 3.0, "gaps_s": ",".join(f"{gap.gap_s:g}" for gap in gaps)}
    values: dict[str, Any] = {
        "config": {**asked, "size_bytes": 64},
        "funnel": funnel(connections, connections, first_byte=connections,
                         completed=connections - sum(gap.ended for gap in gaps)),
        "requests": Requests(count=40, bytes=2560),
        "failures": failures,
        "idle_gaps": list(gaps),
        "server": rested_at(connections),
    }  # fmt: skip
    return run("hold", **{**values, **fields})


def rested_at(connections: int, resets: int = 0) -> ServerSide:
    """The server's end on this host, which sent so many RSTs; the connects are the load's own."""
    opens = deltas(Tcp_ActiveOpens=connections, Tcp_PassiveOpens=connections, Tcp_OutRsts=resets)
    return local(watch(accepted_at_end=connections), deltas=opens)


def closed_at_rest(**fields: Any) -> RunResult:
    """A server whose idle time is 7 s."""
    return rested(borne(1), borne(5), ended(10, closed=2), ended(30, closed=2), **fields)


def forgotten(*, reset: bool = False, sent: int = 0, **fields: Any) -> RunResult:
    """A router that forgets after some seconds, and drops what then comes, or answers by RST."""
    lost = [ended(gap_s, silent=0 if reset else 2, reset=2 if reset else 0, asked=True) for gap_s in (10, 30)]
    client = {"deltas": deltas(TCPTimeouts=0 if reset else 16), "before": snapshot(states={"FIN-WAIT-1": 0}),
              "after": snapshot(states={"FIN-WAIT-1": 0 if reset else 4})}  # fmt: skip
    return rested(borne(1), borne(5), *lost, **{"server": rested_at(8, sent), "client": client, **fields})


UNIX = "unix:/run/app.sock"


def unix_queue(**fields: Any) -> Listener:
    """A UNIX socket with a backlog of 8, which gunicorn empties."""
    owner = Process(pid=4321, name="gunicorn")
    values: dict[str, Any] = {"family": 1, "address": UNIX, "port": 0, "depth": 0, "limit": 8, "inode": 7}
    return Listener(**{**values, "owners": [owner], **fields})


def unix_overflowed(refused: int = 51, **fields: Any) -> RunResult:
    """hold unix:/run/app.sock -n 60: 9 get in, the others get EAGAIN."""
    there = snapshot(listeners=None, unix_listeners=[unix_queue()], counters=None)
    watched = watch(
        address=UNIX, port=0, limit=8, worst_depth=9, full_samples=5, drops=None, accepted_at_end=60 - refused, inode=7
    )
    owners = [Process(pid=4321, name="gunicorn", fds=40, nofile_soft=1024)]
    values: dict[str, Any] = {
        "config": {"target": UNIX, "connections": 60},
        "funnel": funnel(60, 60 - refused),
        "failures": [failure("connect", "EAGAIN", refused)] if refused else [],
        "syn_retransmits": {},
        "client": {"port_use": None, "deltas": None, "before": there, "after": there},
        "server": local(watched, before=there, after=there, deltas=None, processes=owners),
    }
    return run(**{**values, **fields})


# Limits of the whole machine, and what comes wrong or untranslated -------------------------------------------------

LIMITS: dict[str, Any] = {"net.ipv4.tcp_mem": [90_000, 120_000, 180_000], "net.ipv4.tcp_max_orphans": [32_768]}


def at(end: str, **fields: Any) -> Snapshot:
    """A snapshot of one of two namespaces."""
    return snapshot(host=HOST.replace(netns_inode={"client": 1, "server": 2}[end]), **fields)


def memory_used_up(
    pages: int = 181_000,
    orphans: int = 12,
    *,
    aborted: int | None = 100,
    not_taken: int = 0,
    resets: int = 100,
    stalled: int = 0,
    limits: dict[str, Any] | None = None,
    **fields: Any,
) -> RunResult:
    """bench -c 400 against a server whose machine has so many pages in TCP's buffers, and so many orphans."""
    figures = {"TCP.mem": 3_000, "TCP.orphan": 0}
    sysctls = LIMITS if limits is None else limits
    before = at("server", sysctls=sysctls, sockstat=figures)
    after = before.replace(worst_sockstat={"TCP.mem": pages, "TCP.orphan": orphans})
    counted = deltas(TCPAbortOnMemory=aborted or 0, TCPRcvQDrop=not_taken, Tcp_OutRsts=aborted or 0)
    if aborted is None:
        del counted["TcpExt.TCPAbortOnMemory"]
    kinds = {"ECONNRESET": resets, "own_timeout": stalled}
    values: dict[str, Any] = {
        "config": {"connections": 400, "size_bytes": 64, "mode": "rr"},
        "funnel": funnel(400, 400, completed=400 - resets - stalled),
        "failures": [failure("read", errno, count, 0.4) for errno, count in kinds.items() if count],
        "client": {"before": at("client"), "after": at("client"), "deltas": deltas()},
        "server": local(deltas=counted, before=before, after=after),
    }
    return run("bench", **{**values, **fields})


def orphaned(orphans: int = 32_800, pages: int = 4_000, **fields: Any) -> RunResult:
    """The same with so many orphans, and room in TCP's memory."""
    return memory_used_up(pages, orphans, **fields)


def spoiled(wrong: int = 60, timeouts: int = 20, late: int = 0, at_client: int = 0, **fields: Any) -> RunResult:
    """hold -n 20 over a tunnel that fills no checksum in: each SYN is dropped where it arrives, and sent again."""
    through = 20 - timeouts
    counted = deltas(Tcp_InCsumErrors=wrong, Tcp_PassiveOpens=through)
    client = deltas(TCPSynRetrans=2 * timeouts + late, Tcp_InCsumErrors=at_client)
    values: dict[str, Any] = {
        "funnel": funnel(20, through),
        "failures": [failure("connect", "own_timeout", timeouts)] if timeouts else [],
        "syn_retransmits": {"0": through - late, "1": late, "2": timeouts},
        "client": {"before": at("client"), "after": at("client"), "deltas": client},
        "server": untouched(through, deltas=counted, before=at("server"), after=at("server")),
    }
    return run(**{**values, **fields})


def dropped_on_arrival(
    machine: int | None = 90, own: int = 80, timeouts: int = 20, other_end: int = 0, **fields: Any
) -> RunResult:
    """hold -n 20: the machine of both ends dropped so many packets as they arrived, `own` of them at the server's."""

    def moment(end: str, total: int, at_interface: int) -> Snapshot:
        softnet = None if machine is None else Softnet(dropped=500 + total, squeezed=3)
        return at(end, softnet=softnet, nics=[Nic(name="eth0", rx_dropped=7 + at_interface, tx_dropped=0)])

    after = {"client": moment("client", machine or 0, other_end), "server": moment("server", machine or 0, own)}
    before = {end: moment(end, 0, 0) for end in after}
    values = {
        "client": {"before": before["client"], "after": after["client"], "deltas": deltas(TCPSynRetrans=2 * timeouts)},
        "server": untouched(20 - timeouts, before=before["server"], after=after["server"]),
    }
    return spoiled(0, timeouts, **{**values, **fields})


def without_place(
    refused: int | None = 60,
    not_sent: int | None = 40,
    timeouts: int = 20,
    *,
    rules: bool | None = False,
    reasons: dict[str, int] | None = None,
    name: str = "arp_cache",
) -> RunResult:
    """hold -n 20 to a neighbour that finds no place in the machine's table: each of three SYNs is refused."""
    security = Security(nft_rules=rules, iptables_rules=rules)
    tables = [
        NeighbourTable(name=each, entries=1024 if each == name else 9, maximum=1024, table_fulls=11)
        for each in ("arp_cache", "ndisc_cache")
    ]
    risen = [table.replace(table_fulls=11 + (refused or 0)) if table.name == name else table for table in tables]
    counted = deltas(TCPRetransFail=not_sent or 0, TCPSynRetrans=40)
    if not_sent is None:
        del counted["TcpExt.TCPRetransFail"]
    after = snapshot(neighbours=None if refused is None else risen, security=security)
    if reasons is not None:
        after = after.replace(drop_reasons=DropReasons(seconds=3.0, kfree_skb=reasons))
    return run(
        funnel=funnel(20, 20 - timeouts),
        failures=[failure("connect", "own_timeout", timeouts)] if timeouts else [],
        syn_retransmits={"0": 20 - timeouts, "2": timeouts},
        server=remote(),
        client={"before": snapshot(neighbours=tables, security=security), "after": after, "deltas": counted},
    )


def strayed(
    invalid: int | None = 40,
    rsts: int = 20,
    resets: int = 20,
    *,
    stalled: int = 0,
    aborts: int = 0,
    server: ServerSide | None = None,
) -> RunResult:
    """bench -c 20 through a NAT of the client's own host: one segment on each connection fitted no flow."""

    def tracked(count: int | None) -> Snapshot:
        table = None if count is None else Conntrack(count=20, maximum=262_144, drop=0, insert_failed=0, invalid=count)
        return at("client", conntrack=table)

    before, after = (tracked(None if invalid is None else count) for count in (3, 3 + (invalid or 0)))
    counted = deltas(Tcp_OutRsts=rsts + aborts, TCPAbortOnClose=aborts)
    return run(
        "bench",
        config={"connections": 20, "size_bytes": 64, "mode": "rr"},
        funnel=funnel(20, 20, completed=20 - resets - stalled),
        failures=[failure("read", each, n) for each, n in (("ECONNRESET", resets), ("own_timeout", stalled)) if n],
        syn_retransmits={"0": 20},
        server=server or remote(),
        client={"before": before, "after": after, "deltas": counted},
    )


MET: dict[str, Callable[[], RunResult]] = {
    "checksum_errors": spoiled,
    "softnet_drops": dropped_on_arrival,
    "neighbour_table_full": without_place,
    "conntrack_invalid_reset": strayed,
    "tcp_memory_exhausted": memory_used_up,
    "too_many_orphans": orphaned,
    "nat_ports_exhausted": nat_without_ports,
    "time_wait_refused_by_nat": refused_by_time_wait,
    "path_data_loss": data_lost,
    "peer_vanished": vanished,
    "first_address_dead": first_dead,
    "path_connection_limit": refused_beyond,
    "path_rate_limited": rate_limited,
    "path_mtu_blackhole": big_lost,
    "path_idle_timeout": forgotten,
    "path_member_dead": quarter_dead,
    "no_route_back": without_route_back,
    "reverse_path_filtered": reverse_path,
    "neighbour_unresolved": neighbour_absent,
    "own_firewall": own_reject,
    "client_open_files": client_without_descriptors,
    "bound_ports_poisoned": poisoned,
    "time_wait_port_exhaustion": churned_out,
    "ephemeral_port_exhaustion": range_full,
    "conntrack_full_local": conntrack_full,
    "path_filtered": dropped,
    "path_flow_table_full": table_full,
    "path_syn_loss": lossy,
    "nobody_listening": refused,
    "listen_port_taken": port_taken,
    "close_wait_leak": leaking,
    "server_open_files": server_without_descriptors,
    "server_died": died,
    "server_idle_close": closed_silent,
    "server_connection_limit": over_its_limit,
    "closed_with_data_unread": cut_short,
    "proxy_backend_unreachable": without_backend,
    "server_cpu_quota": held_by_quota,
    "server_task_limit": short_of_tasks,
    "reuseport_member_stuck": one_of_several_stuck,
    "server_not_accepting": stalled,
    "accept_thread_starved": starved,
    "server_accepts_too_slowly": outrun,
    "defer_accept_drops": deferred,
    "syn_queue_overflow": syn_flooded,
    "cookie_reset": reset_by_cookies,
    "abort_on_overflow": aborted,
    "short_connection_storm": storm,
    "backlog_clamped": clamped,
    "accept_queue_overflow": overflowed,
    "unix_accept_queue_overflow": unix_overflowed,
    "generator_saturated": generator_late,
}
