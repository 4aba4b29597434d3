"""What a host allows whatever the process: open files, connection tracking, memory, and a cloud's flow table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from estab.diagnose.rungs.view import natural, number, numbers, sockstat, why
from estab.errors import EstabError
from estab.kernel.rules import cloud_flows, conntrack, descriptors, memory
from estab.records import Limit, Side, Snapshot
from estab.words import plural

CONNTRACK_MAX, CONNTRACK_COUNT = "net.netfilter.nf_conntrack_max", "net.netfilter.nf_conntrack_count"
_ONE_END = memory.BYTES_PER_IDLE_PAIR / 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """A host as one end's rungs see it. `ends` is 2 where it carries both ends of each connection.

    `is_unix`: they are of a UNIX socket, which TCP's limits do not bound.
    """

    snapshot: Snapshot
    side: Side
    ends: int
    is_unix: bool = False

    @property
    def prefix(self) -> str:
        """What stands before the names of the server's rungs, so that no name is there twice."""
        return "server_" if self.side == "server" else ""


def machine_rungs(host: Host) -> Iterator[Limit]:
    """What all namespaces of one machine share."""
    yield _file_max(host)
    if host.is_unix:
        return
    yield _memory(host)
    yield from _cgroup_memory(host)
    yield _tcp_mem(host)
    yield _orphans(host)
    yield from _neighbours(host)


def namespace_rungs(host: Host) -> Iterator[Limit]:
    """What belongs to one network namespace."""
    if host.is_unix:
        return
    yield _conntrack(host)
    yield from _cloud(host)


def _both(host: Host) -> str:
    return "both ends are here: two for each connection" if host.ends == 2 else ""


def _notes(*parts: str) -> str | None:
    return "; ".join(filter(None, parts)) or None


def _file_max(host: Host) -> Limit:
    limit, nr = number(host.snapshot, "fs.file-max"), numbers(host.snapshot, "fs.file-nr")
    used = natural(nr[0]) if nr else None
    left = descriptors.available(None, None, None, limit, used).available
    root = "processes with CAP_SYS_ADMIN are exempt" if host.snapshot.host.euid == 0 else ""
    return Limit(
        limit=f"{host.prefix}file_max",
        side=host.side,
        unit="open files of the whole host",
        value=limit,
        used=used,
        capacity_connections=None if left is None else descriptors.connections(left, host.ends),
        source="/proc/sys/fs/file-max, file-nr",
        raise_with=f"sysctl -w fs.file-max={2 * (limit or 1 << 20)}",
        restart="nothing: it counts at once",
        note=_notes(_both(host), root),
        why_unknown=None if left is not None else why(host.snapshot, "sysctls.fs.file-nr", otherwise="not read"),
    )


def conntrack_now(snapshot: Snapshot) -> tuple[int | None, int | None]:
    """Flows tracked and the most that may be, from wherever the snapshot has them."""
    seen = snapshot.conntrack
    count = seen.count if seen is not None else None
    maximum = seen.maximum if seen is not None else None
    return (
        natural(number(snapshot, CONNTRACK_COUNT) if count is None else count),
        natural(number(snapshot, CONNTRACK_MAX) if maximum is None else maximum),
    )


def _conntrack(host: Host) -> Limit:
    count, maximum = conntrack_now(host.snapshot)
    missing = why(host.snapshot, f"sysctls.{CONNTRACK_MAX}", "conntrack", otherwise="not read")
    return Limit(
        limit=f"{host.prefix}conntrack",
        side=host.side,
        unit="flows",
        value=maximum,
        used=count,
        capacity_connections=conntrack.headroom(count, maximum),
        source="/proc/sys/net/netfilter/nf_conntrack_max, nf_conntrack_count",
        raise_with=f"sysctl -w {CONNTRACK_MAX}={2 * (maximum or 131_072)}   # in the initial namespace",
        restart="nothing: it counts at once",
        note="nothing is tracked now: no rule of this namespace uses ct" if count == 0 else None,
        why_unknown=_why_untracked(count, maximum, missing),
    )


def _why_untracked(count: int | None, maximum: int | None, missing: str) -> str | None:
    if maximum == 0:
        return "a maximum of 0 is no limit"
    if count is None or maximum is None:
        return f"nf_conntrack is not loaded, or not shown here ({missing})"
    return None


def _memory(host: Host) -> Limit:
    available = natural(host.snapshot.memory_available_bytes)
    total = natural(host.snapshot.host.memory_bytes)
    return Limit(
        limit=f"{host.prefix}memory",
        side=host.side,
        unit="bytes",
        value=total,
        used=None if total is None or available is None else max(0, total - available),
        capacity_connections=memory.connections(available, _ONE_END * host.ends),
        source="/proc/meminfo MemAvailable",
        raise_with="more memory",
        restart="the machine",
        note=_notes(
            f"an estimate: {_ONE_END * host.ends:,.0f} bytes of kernel memory for each idle connection"
            + (", both ends" if host.ends == 2 else ""),
            "what programs keep and what waits in buffers comes on top",
        ),
        why_unknown=None
        if available is not None
        else why(host.snapshot, "memory_available_bytes", otherwise="MemAvailable was not read"),
    )


def _cgroup_memory(host: Host) -> Iterator[Limit]:
    cgroup = host.snapshot.cgroup
    if cgroup is None or cgroup.memory_max_bytes is None:
        return
    left = descriptors.available(natural(cgroup.memory_max_bytes), natural(cgroup.memory_current_bytes)).available
    yield Limit(
        limit=f"{host.prefix}cgroup_memory",
        side=host.side,
        unit="bytes",
        value=cgroup.memory_max_bytes,
        used=cgroup.memory_current_bytes,
        capacity_connections=memory.connections(left, _ONE_END),
        source=f"cgroup {cgroup.path or '(path unknown)'} memory.max",
        raise_with="MemoryMax= in the unit, or memory.max of the cgroup",
        restart="nothing: it counts at once",
        note="an estimate; page cache counted as used can be given back; the other end may be in another cgroup",
        why_unknown=None if left is not None else "memory.current was not read",
    )


def _tcp_mem(host: Host) -> Limit:
    bounds, used = numbers(host.snapshot, "net.ipv4.tcp_mem"), sockstat(host.snapshot, "TCP.mem")
    three = (bounds[0], bounds[1], bounds[2]) if bounds and len(bounds) == 3 else None
    over = memory.tcp_mem_pressure(used, three) == "over_limit"
    return Limit(
        limit=f"{host.prefix}tcp_mem",
        side=host.side,
        unit="pages of TCP buffers",
        value=three[2] if three else None,
        used=used,
        capacity_connections=0 if over else None,
        source="/proc/sys/net/ipv4/tcp_mem, /proc/net/sockstat TCP mem",
        raise_with='sysctl -w net.ipv4.tcp_mem="MIN PRESSURE MAX"',
        restart="nothing: it counts at once",
        note="over the maximum, TCP cannot send or receive and resets what cannot shrink"
        if over
        else _room_for_data(host, three, used),
        why_unknown=None if over else "it bounds data in buffers, not connections: an idle one takes none",
    )


def _room_for_data(host: Host, bounds: tuple[int, int, int] | None, used: int | None) -> str | None:
    """How many sockets' worth of data is left, with buffers as they begin."""
    receive, send = numbers(host.snapshot, "net.ipv4.tcp_rmem"), numbers(host.snapshot, "net.ipv4.tcp_wmem")
    if bounds is None or used is None or not (receive and send and len(receive) == len(send) == 3):
        return None
    each = max(1, receive[1] + send[1])
    many = memory.sockets_of_data(max(0, bounds[2] - used), each)
    return f"room for the data of {many:,} sockets that have {each:,} bytes waiting (tcp_rmem and tcp_wmem, default)"


def _orphans(host: Host) -> Limit:
    most, used = number(host.snapshot, "net.ipv4.tcp_max_orphans"), sockstat(host.snapshot, "TCP.orphan")
    left = None if most is None or used is None else max(0, most - used)
    return Limit(
        limit=f"{host.prefix}tcp_max_orphans",
        side=host.side,
        unit="orphans",
        value=most,
        used=used,
        source="/proc/sys/net/ipv4/tcp_max_orphans, /proc/net/sockstat TCP orphan",
        raise_with="sysctl -w net.ipv4.tcp_max_orphans=N",
        restart="nothing: it counts at once",
        note=None if left is None else f"{plural(left, 'socket')} more may be closing at once; what is beyond is reset",
        why_unknown="it bounds sockets that their process closed with data unsent, not open connections",
    )


def _neighbours(host: Host) -> Iterator[Limit]:
    """Tables of neighbours that are half full."""
    for table in host.snapshot.neighbours or ():
        if table.maximum is None or table.entries * 2 < table.maximum:
            continue
        family = "ipv6" if table.name == "ndisc_cache" else "ipv4"
        yield Limit(
            limit=f"{host.prefix}neighbours@{table.name}",
            side=host.side,
            unit="neighbours of the whole machine",
            value=table.maximum,
            used=natural(table.entries),
            source="netlink RTM_GETNEIGHTBL",
            raise_with=f"sysctl -w net.{family}.neigh.default.gc_thresh3=N   # in the initial namespace",
            restart="nothing: it counts at once",
            why_unknown="it bounds hosts on the own links, not connections: beyond it a new one can't be reached",
        )


def _cloud(host: Host) -> Iterator[Limit]:
    for nic in host.snapshot.nics or ():
        if not nic.allowances:
            continue
        blank = Limit(
            limit=f"{host.prefix}cloud_flows@{nic.name}",
            side="path",
            unit="tracked flows of the instance",
            source=f"ethtool -S {nic.name} {cloud_flows.AVAILABLE}",
            raise_with="a larger instance type, or security groups that track nothing (all open both ways)",
            restart="the instance",
        )
        try:
            allowance = cloud_flows.allowance(nic.allowances)
        except EstabError as error:
            yield blank.replace(why_unknown=str(error))
            continue
        left = natural(nic.allowances.get(cloud_flows.AVAILABLE))
        yield blank.replace(
            capacity_connections=left, note=allowance.why, why_unknown=None if left is not None else allowance.why
        )
