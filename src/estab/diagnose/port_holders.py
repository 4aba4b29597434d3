"""Who has a port on which nothing listens, so that no server gets it by bind(). Pure; no verdict.

bind() fails with EADDRINUSE where a socket of the port conflicts (`inet_csk_bind_conflict`,
net/ipv4/inet_connection_sock.c). SO_REUSEADDR helps where both sockets have it and neither listens: what a server that
had set it left behind does not conflict. What connect() gave the port from its range has not set it, and does, to the
end of its TIME-WAIT.
"""

from __future__ import annotations

from estab.kernel.formats.endpoint import endpoint
from estab.records import PortHolder, Snapshot
from estab.words import plural

PORT_RANGE = "net.ipv4.ip_local_port_range"


def conflicting(snapshot: Snapshot | None, port: int) -> list[PortHolder] | None:
    """Those whose port connect() chose, or who did bind() alone. None: not read, or something listens there.

    A connection is this host's own where its local port is of the range that connect() takes from, and its peer's is
    not: else it may be one that a server here had accepted.
    """
    if snapshot is None or snapshot.port_holders is None:
        return None
    bounds = (snapshot.sysctls or {}).get(PORT_RANGE)
    low, high = bounds[:2] if isinstance(bounds, list) and len(bounds) >= 2 else (32_768, 60_999)
    return [
        holder
        for holder in snapshot.port_holders
        if holder.peer_port is None or (low <= port <= high and not low <= holder.peer_port <= high)
    ]


def is_connection(holder: PortHolder) -> bool:
    """Whether it is connected, or was: no server's socket before its listen()."""
    return holder.peer_address is not None


def same(one: PortHolder, other: PortHolder) -> bool:
    """Whether they are one connection, or sockets bound alike; its state may have changed."""
    return (one.address, one.peer_address, one.peer_port) == (other.address, other.peer_address, other.peer_port)


def words(holders: list[PortHolder], port: int) -> str:
    """The first of them and how many more, as `a connection of curl (pid 7) from that port to 10.0.0.9:443 has it`."""
    first = holders[0]
    whose = f" of {first.owner.words}" if first.owner is not None else ""
    if first.peer_address is None or first.peer_port is None:
        told = f"a socket{whose} that did bind() to {endpoint(first.address, port)} alone has it"
    else:
        peer = endpoint(first.peer_address, first.peer_port)
        told = f"a connection{whose} from that port to {peer} ({first.state}) has it"
    more = len(holders) - 1
    return f"{told}, and {plural(more, 'more does', 'more do')}" if more else told


def told(snapshot: Snapshot, port: int) -> str | None:
    """As a sentence for who asked for a port where nothing listens; None: nobody has it."""
    holders = conflicting(snapshot, port)
    if not holders:
        return None
    return f"{words(holders, port)}, so that bind() to it fails (estab explain listen_port_taken)"


def port_of(snapshot: Snapshot) -> int | None:
    """The port that was asked for; None: it was none."""
    return snapshot.server_sockets.port if snapshot.server_sockets is not None else None
