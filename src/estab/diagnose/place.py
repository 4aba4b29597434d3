"""Where a cause of two snapshots is met: at which listener, or towards which target; what became of a listener."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from estab.diagnose.on_snapshots import Queue, Snapshots
from estab.records import Next, Process, Snapshot, Suspect


@dataclass(frozen=True)
class Place:
    """A listener, a target, or the whole host, which has neither `address` nor `port`."""

    kind: Literal["listener", "target", "host"] = "host"
    address: str | None = None
    port: int | None = None


@dataclass(frozen=True)
class Owned:
    """The sockets that listen at a place, and who holds them. `owners` is empty where they were not seen."""

    inodes: frozenset[int]
    limits: frozenset[int]
    owners: tuple[Process, ...]

    @property
    def identities(self) -> frozenset[tuple[int, int | None]]:
        """What tells the owners from later processes with the same PID."""
        return frozenset((owner.pid, owner.started_ticks) for owner in self.owners)


@dataclass(frozen=True)
class ListenerChange:
    """What became of a listener; `pid`: its first owner since, where that is a new one."""

    next: Next
    pid: int | None = None


def place_of(suspect: Suspect, pair: Snapshots) -> Place:
    """Where the cause is met: of the server's side the listener in the greatest distress, of the client's the target
    whose local ports are used up, else the host.
    """
    queue = pair.fullest if suspect.side == "server" else None
    if queue is not None and (queue.full or queue.drops or queue.now.depth):
        return Place("listener", queue.now.address, queue.now.port)
    use = pair.after.port_use
    if suspect.cause in _OF_A_TARGET and use is not None:
        return Place("target", use.address, use.port)
    return Place()


_OF_A_TARGET = frozenset({"ephemeral_port_exhaustion", "time_wait_port_exhaustion", "bound_ports_poisoned"})


def queues_at(place: Place, pair: Snapshots) -> list[Queue]:
    """The listeners of the place, the one in the greatest distress first."""
    if place.kind != "listener":
        return []
    return [queue for queue in pair.queues if (queue.now.address, queue.now.port) == (place.address, place.port)]


def drops_at(place: Place, pair: Snapshots) -> int | None:
    """What the listeners of the place dropped in between; a listener that is new there, since it was made."""
    if pair.before is None or pair.before.listeners is None:
        return None
    known = [queue.now.drops if queue.then is None else queue.drops for queue in queues_at(place, pair)]
    counted = [drops for drops in known if drops is not None]
    return sum(counted) if counted else None


def owned(place: Place, taken: Snapshot) -> Owned | None:
    """Who listens at the place. None: nobody does, it is no listener's, or the listeners were not read."""
    there = [one for one in taken.listeners or () if (one.address, one.port) == (place.address, place.port)]
    if place.kind != "listener" or not there:
        return None
    return Owned(
        inodes=frozenset(one.inode for one in there if one.inode),
        limits=frozenset(one.limit for one in there),
        owners=tuple({owner.pid: owner for one in there for owner in one.owners or ()}.values()),
    )


def what_changed(then: Owned, now: Owned | None) -> ListenerChange | None:
    """What became of the listeners from one look to a later one, at which they were read. None: nothing.

    A new socket, or none of the old owners, is a restart. A reload changes the limit, or all owners but the oldest
    (the master process, which keeps the socket).
    """
    if now is None:
        return ListenerChange("closed")
    pid = next((owner.pid for owner in now.owners), None)
    if then.inodes and now.inodes and not then.inodes & now.inodes:
        return ListenerChange("restarted", pid)
    if then.owners and now.owners and not then.identities & now.identities:
        return ListenerChange("restarted", pid)
    if then.limits != now.limits or _only_the_oldest_is_left(then, now):
        return ListenerChange("reloaded")
    return None


def _only_the_oldest_is_left(then: Owned, now: Owned) -> bool:
    kept = then.identities & now.identities
    oldest = min(then.owners, key=lambda owner: (owner.started_ticks or 0, owner.pid), default=None)
    return (
        oldest is not None
        and kept == {(oldest.pid, oldest.started_ticks)}
        and len(then.owners) > 1
        and len(now.owners) > 1
    )
