"""One moment on this host and in this thread's network namespace, as a `Snapshot`.

Nothing here raises for what cannot be read: it is None, and `unobserved` says why.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from estab.errors import EstabError
from estab.kernel.formats import inet_diag, sysctl
from estab.kernel.formats.inet_diag import InetSocket
from estab.observe import cgroups, counters, host, nics, processes, silent_peers, sysctls, system, targets
from estab.observe.gaps import Gaps
from estab.observe.sock_diag import Counted, SockDiag
from estab.records import (
    Census,
    Listener,
    PeerLook,
    PortHolder,
    PortUse,
    Process,
    Record,
    ServerSockets,
    Snapshot,
    Tuple4,
)
from estab.records.snapshot import UNIX_FAMILY
from estab.words import plural

_PORT_RANGE = "net.ipv4.ip_local_port_range"
_RESERVED = "net.ipv4.ip_local_reserved_ports"
_MOST_HOLDERS = 200  # of a port that are named


def take(
    *,
    port: int | None = None,
    toward: tuple[str, int] | None = None,
    remote: str | None = None,
    diag: SockDiag | None = None,
    owner_pids: Sequence[int] | None = None,
    connections: bool = False,
    most_targets: int = 0,
    unix: str | None = None,
) -> Snapshot:
    """A snapshot now.

    `port`: only the listeners on it, and the server's connections there; None: every listener, UNIX ones too.
    `toward`: a literal address and port, for the use of local ports towards it. `remote`: why the server's side is not
    on this host, which leaves listeners and server sockets out. `diag`: an open SockDiag, else one is made.
    `owner_pids`: the only processes to search for the listeners' owners. `connections`: list those of the server's side
    of `port`, to be matched against a client's. `most_targets`: with no `toward`, count the ports towards all
    destinations and keep so many of the fullest; `port_use` is then the first of them. `unix`: only the UNIX socket at
    this address (`unix:/path`) with the connections of its server's side, and nothing of TCP's.
    """
    gaps = Gaps()
    values = sysctls.read(gaps)
    soft, hard = host.own_open_files()
    seen = _SocketsSeen()
    own: SockDiag | None = None
    try:
        asked = diag or (own := SockDiag())
        if unix is not None:
            seen = _of_unix(asked, gaps, unix, owner_pids)
        else:
            seen = _sockets(asked, gaps, port=port, toward=toward, remote=remote, owner_pids=owner_pids, values=values)
        if connections and port is not None and remote is None:
            seen = seen.replace(connections=gaps.read("connections", lambda: _connections(asked, port)))
        if most_targets:
            seen = seen.replace(targets=_targets(asked, gaps, seen.listeners, most_targets, values))
    except EstabError as error:
        for field in (*(name for name in _SocketsSeen.__struct_fields__ if name != "counters"), "states"):
            gaps.note(field, str(error))
    finally:
        if own is not None:
            own.close()
    return Snapshot(
        taken_at_s=time.time(),
        host=host.facts(gaps),
        nofile_soft=soft,
        nofile_hard=hard,
        sysctls=values,
        listeners=seen.listeners,
        unix_listeners=seen.unix_listeners,
        states=seen.census.states if seen.census else None,
        census=seen.census,
        counters=None if unix is not None else seen.counters or gaps.read("counters", counters.read_counters),
        sockstat=gaps.read("sockstat", counters.read_sockstat),
        server_sockets=seen.server_sockets,
        port_holders=seen.port_holders,
        port_use=seen.targets[0] if seen.targets else seen.port_use,
        targets=seen.targets,
        connections=seen.connections,
        silent_peers=seen.silent_peers,
        conntrack=system.read_conntrack(gaps),
        softnet=gaps.read("softnet", system.read_softnet),
        neighbours=gaps.read("neighbours", system.read_neighbours),
        cgroup=cgroups.own_limits(gaps),
        security=system.read_security(gaps),
        nics=nics.read(gaps),
        memory_available_bytes=gaps.read("memory_available_bytes", system.read_memory_available),
        unobserved=gaps.found,
    )


class _SocketsSeen(Record, frozen=True, kw_only=True):
    """What sock_diag gives a snapshot."""

    listeners: list[Listener] | None = None
    unix_listeners: list[Listener] | None = None
    counters: dict[str, int] | None = None
    census: Census | None = None
    server_sockets: ServerSockets | None = None
    port_holders: list[PortHolder] | None = None
    port_use: PortUse | None = None
    targets: list[PortUse] | None = None
    connections: list[Tuple4] | None = None
    silent_peers: list[PeerLook] | None = None


def _of_unix(diag: SockDiag, gaps: Gaps, address: str, owner_pids: Sequence[int] | None) -> _SocketsSeen:
    for field in ("listeners", "counters", "census"):
        gaps.note(field, f"{address} is a UNIX socket: what is TCP's was not asked for")
    listeners = gaps.read("unix_listeners", lambda: diag.unix_listeners(address))
    _tcp, listeners = _owned(None, listeners, owner_pids, gaps, closely=True)
    sockets = gaps.read("server_sockets", lambda: diag.unix_server_sockets(address))
    return _SocketsSeen(unix_listeners=listeners, server_sockets=sockets)


def _sockets(
    diag: SockDiag,
    gaps: Gaps,
    *,
    port: int | None,
    toward: tuple[str, int] | None,
    remote: str | None,
    owner_pids: Sequence[int] | None,
    values: Mapping[str, list[int] | str],
) -> _SocketsSeen:
    listeners: list[Listener] | None = None
    unix: list[Listener] | None = None
    server_sockets: ServerSockets | None = None
    holders: list[PortHolder] | None = None
    use: PortUse | None = None
    counted: dict[str, int] | None = None
    if remote is not None:
        gaps.note("listeners", remote)
        gaps.note("server_sockets", remote)
    else:
        unix = gaps.read("unix_listeners", diag.unix_listeners) if port is None else None
        owned, unix = _owned(gaps.read("listeners", lambda: diag.listeners(port)), unix, owner_pids, gaps)
        # Again: whose owners have not run since they were seen was accepted nothing of. And the counters at once: what
        # is accepted between two snapshots is reckoned from both (`diagnose.accepts`).
        listeners = None if owned is None else _as_now(owned, diag, port)
        counted = gaps.read("counters", counters.read_counters)
        if port is not None:
            server_sockets = gaps.read("server_sockets", lambda: diag.server_sockets(port))
        if port is not None and listeners == [] and server_sockets is not None:
            holders = _holders(diag, gaps, server_sockets)
    if toward is not None:
        use = gaps.read("port_use", lambda: port_use(diag, *toward, values, gaps))
    taken = gaps.read("census", diag.count)
    return _SocketsSeen(
        listeners=listeners,
        unix_listeners=unix,
        counters=counted,
        census=taken.census if taken is not None else None,
        silent_peers=_silent_peers(diag, gaps, listeners, taken),
        server_sockets=server_sockets,
        port_holders=holders,
        port_use=use,
    )


def _silent_peers(
    diag: SockDiag, gaps: Gaps, listeners: Sequence[Listener] | None, taken: Counted | None
) -> list[PeerLook] | None:
    if taken is None:
        return None
    served = {listener.port for listener in listeners or ()}
    return gaps.read("silent_peers", lambda: silent_peers.looks(diag, taken.resending, served))


def _holders(diag: SockDiag, gaps: Gaps, counted: ServerSockets) -> list[PortHolder] | None:
    """The sockets that have a port on which nothing listens, and whose they are."""
    many = sum(counted.states.values())
    if many > _MOST_HOLDERS:
        gaps.note("port_holders", f"{many:,} sockets have port {counted.port}: too many to name each")
        return None
    holding = gaps.read("port_holders", lambda: diag.holding(counted.port))
    inodes = {each.inode for each in holding or () if each.inode}
    searched = gaps.read("port_holders.owner", lambda: processes.owners(inodes))
    pids = searched.by_inode if searched is not None else {}
    return None if holding is None else [_holder(each, pids.get(each.inode, ())) for each in holding]


def _holder(holding: InetSocket, pids: Sequence[int]) -> PortHolder:
    is_bound = holding.remote_port == 0  # by bind() alone: the kernel shows these as TCP_CLOSE
    return PortHolder(
        state="BOUND-INACTIVE" if is_bound else holding.state_name,
        address=holding.local_address,
        peer_address=None if is_bound else holding.remote_address,
        peer_port=None if is_bound else holding.remote_port,
        owner=next((fact for pid in pids if (fact := processes.process(pid)) is not None), None),
    )


def _targets(
    diag: SockDiag,
    gaps: Gaps,
    listeners: Sequence[Listener] | None,
    most: int,
    values: Mapping[str, list[int] | str],
) -> list[PortUse] | None:
    counted = gaps.read("targets", lambda: targets.busiest(diag, values, gaps, most=most, listeners=listeners))
    return None if counted is None else counted.busiest


def _connections(diag: SockDiag, port: int) -> list[Tuple4]:
    """The connections of the server's side of a port, as the server sees them, in order."""
    packed = sorted(diag.established_at(port))
    return [inet_diag.swapped(inet_diag.unpack_connection(connection)) for connection in packed]


def port_use(
    diag: SockDiag, address: str, port: int, values: Mapping[str, list[int] | str], gaps: Gaps | None = None
) -> PortUse:
    """Local ports in use towards a target, with the capacity that the sysctls in `values` give.

    Raises what SockDiag raises. A range that cannot be read leaves `capacity` and `bound` None.
    """
    gaps = gaps if gaps is not None else Gaps()
    capacity = bound = None
    if (port_range := values.get(_PORT_RANGE)) is not None:
        capacity = gaps.read("port_use.capacity", lambda: sysctl.usable_ports(port_range, values.get(_RESERVED, "")))
        bounds = gaps.read("port_use.bound", lambda: sysctl.port_bounds(port_range))
        bound = diag.bound_ports(*bounds) if bounds else None
        if bound is None:
            gaps.note("port_use.bound", "kernels before 6.8 do not show sockets that did bind() alone")
    return diag.port_use(address, port, capacity=capacity, bound=bound)


def _owned(
    listeners: list[Listener] | None,
    unix: list[Listener] | None,
    owner_pids: Sequence[int] | None,
    gaps: Gaps,
    *,
    closely: bool = False,
) -> tuple[list[Listener] | None, list[Listener] | None]:
    """Both with their owners, by one search; those of idle UNIX sockets, of which a host has many, not `closely`."""
    both = [*(listeners or ()), *(unix or ())]
    if not both:
        return listeners, unix
    inodes = {listener.inode for listener in both if listener.inode}
    searched = gaps.read("listeners.owners", lambda: processes.owners(inodes, owner_pids))
    if searched is None:
        return listeners, unix
    by_inode = searched.by_inode
    in_use = {each.inode for each in both if closely or each.family != UNIX_FAMILY or each.depth}
    of_use = {pid for inode, pids in by_inode.items() if inode in in_use for pid in pids}
    pids = {pid for owners in by_inode.values() for pid in owners}
    facts = {pid: processes.process(pid, closely=pid in of_use) for pid in pids}

    def owned(field: str, some: list[Listener] | None) -> list[Listener] | None:
        if some is None:
            return None
        with_owners = [_with_owners(listener, by_inode, facts) for listener in some]
        if any(listener.owners is None for listener in with_owners):
            gaps.note(f"{field}.owners", why_unowned(searched.hidden))
        return with_owners

    return owned("listeners", listeners), owned("unix_listeners", unix)


def _as_now(owned: list[Listener], diag: SockDiag, port: int | None) -> list[Listener]:
    """The listeners as they stand by now, with the owners that were found; as they were where that can't be read."""
    owners = {listener.inode: listener.owners for listener in owned}
    try:
        return [listener.replace(owners=owners.get(listener.inode)) for listener in diag.listeners(port)]
    except EstabError:
        return owned


def _with_owners(
    listener: Listener, by_inode: Mapping[int, Sequence[int]], facts: Mapping[int, Process | None]
) -> Listener:
    owners = [fact for pid in by_inode.get(listener.inode or 0, ()) if (fact := facts.get(pid))]
    return listener.replace(owners=owners or None)


def why_unowned(hidden: int) -> str:
    """Why a listener has no owner that can be seen; `hidden` processes would not show their descriptors."""
    if hidden:
        processes = plural(hidden, "process", "processes")
        return f"the descriptors of {processes} may not be read: run as root, or as the server's user"
    return "no process that is visible here holds the socket: it is in another pid namespace, or /proc hides it"
