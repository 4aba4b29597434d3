"""Connections that their clients closed and the server did not (CLOSE-WAIT), and whether it had any CPU to close them.

Source: `tcp_fin` (net/ipv4/tcp_input.c) moves a socket to CLOSE_WAIT at the client's FIN; only the program's close()
takes it further (`tcp_close_state`, net/ipv4/tcp.c), and until then it holds a descriptor.
What waits unaccepted is in CLOSE-WAIT as well once its client gave up: the depth of the queue is taken off.
"""

from __future__ import annotations

from estab.diagnose import descriptors, facts, owners
from estab.records import RunResult, Snapshot
from estab.words import plural

STATE = "CLOSE-WAIT"


def at_port(snapshot: Snapshot | None, port: int) -> int | None:
    """Accepted connections of a port whose client closed them, at least. None: not read."""
    states = None if snapshot is None else _states(snapshot, port)
    if snapshot is None or states is None or snapshot.listeners is None:
        return None
    waiting = sum(max(0, listener.depth) for listener in snapshot.listeners if listener.port == port)
    return max(0, states.get(STATE, 0) - waiting)


def _states(snapshot: Snapshot, port: int) -> dict[str, int] | None:
    sockets = snapshot.server_sockets
    if sockets is not None and sockets.port == port:
        return sockets.states
    if snapshot.census is None:
        return None
    # The census keeps the fullest ports: one that is not among them has fewer than any of those.
    return next((counted.states for counted in snapshot.census.ports if counted.port == port), {})


def at_worst(run: RunResult) -> int:
    """As many of them as any look at the target's port showed; 0 where none did."""
    port = facts.target_port(run)
    along = [
        max(0, point.server_states.get(STATE, 0) - (point.queue_depth or 0))
        for point in run.timeline
        if point.server_states is not None
    ]
    return max([*along, (at_port(run.server.after, port) or 0) if port is not None else 0])


def for_want_of_cpu(run: RunResult) -> str | None:
    """That they hold the descriptors of a process whom its CPU quota left no time to close them, in words.

    None: it is not so. One that closes next to none of all that it accepted forgets to, with whatever CPU.
    """
    full, accepted, unclosed = descriptors.fullest_server(run), facts.accepted(run), at_worst(run)
    if full is None or not full.at_its_last or 2 * unclosed < full.limit:
        return None
    held_back = any(owner.pid == full.pid and owner.out_of_time for owner in owners.of_run(run))
    if not held_back or accepted is None or accepted < 2 * unclosed:
        return None
    return (
        f"{unclosed:,} of its {plural(full.limit, 'descriptor')} were of connections that their clients had closed, "
        "and it had no CPU to close them"
    )
