"""What the model hands out: one `HostView` a look, made of plain values. Unknown is None, never 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from estab.kernel.rules import accept_queue
from estab.live.judgement import ListenerCondition
from estab.records import Conntrack, Diagnosis, NamespaceId, PortUse, Process, ServiceName

PUT_OFF = "not at every look: counting all sockets is put off, so that watching stays cheap"
Key = tuple[NamespaceId, int, str, int, int | None]  # namespace, family, address, port, inode


@dataclass(frozen=True, slots=True)
class QueueSample:
    """One listener at one moment (Unix time)."""

    at_s: float
    depth: int
    drops_per_s: float | None


@dataclass(frozen=True, slots=True)
class ListenerRow:
    """One listener now. `limit` is B: B+1 fit. `worst` is the worst depth seen, by the snapshots' author or here."""

    key: Key
    address: str
    port: int
    netns: str
    depth: int
    limit: int
    worst: int
    drops_per_s: float | None
    growth_per_s: float | None
    owners: tuple[Process, ...]
    judgement: ListenerCondition
    trend: tuple[int, ...] = ()  # its depth at the last looks, oldest first

    @property
    def fill(self) -> float:
        """Depth of what fits, 0 to 1 and, for a record that says so, more."""
        return self.depth / accept_queue.room(self.limit)

    @property
    def distress(self) -> tuple[int, float, float, int]:
        """Of two rows the greater one is in the greater distress."""
        return self.judgement.severity, self.fill, self.drops_per_s or 0.0, self.worst

    @property
    def tightest(self) -> Process | None:
        """The owner that is nearest to its RLIMIT_NOFILE."""
        known = [owner for owner in self.owners if owner.fds is not None and owner.nofile_soft]
        return max(known, key=lambda owner: (owner.fds or 0) / (owner.nofile_soft or 1), default=None)

    @property
    def service(self) -> ServiceName | None:
        """The systemd unit, container or pod of its first owner that is of one."""
        return next((owner.service for owner in self.owners if owner.service and owner.service.words), None)


@dataclass(frozen=True, slots=True)
class Target:
    """Local ports towards one address and port. `age_s`: how long ago they were counted."""

    use: PortUse
    netns: str
    age_s: float

    @property
    def fill(self) -> float | None:
        """The share of its ports that the source address with most has in use; None where the range is not known."""
        room = (self.use.capacity or 0) - (self.use.bound or 0)
        worst = self.use.used if self.use.worst_source_used is None else self.use.worst_source_used
        return worst / room if room > 0 else None


@dataclass(frozen=True, slots=True)
class ConnectionsByPeer:
    """Where no ports were counted: connections by peer, as a census has them."""

    address: str
    sockets: int


@dataclass(frozen=True, slots=True)
class HostTotals:
    """The namespaces together. `states` was counted `states_age_s` ago; `inuse`, `time_wait`, `orphans` now.

    `accepted_per_s`: what all listeners accepted since the last look, a second.
    """

    states: Mapping[str, int] | None = None
    states_age_s: float | None = None
    established: int | None = None
    inuse: int | None = None
    time_wait: int | None = None
    orphans: int | None = None
    rates: Mapping[str, float] | None = None
    accepted_per_s: float | None = None
    conntrack: Conntrack | None = None
    conntrack_drops_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class HostView:
    """All that can be shown at one moment. `unobserved`: what was not observed and why, each once."""

    at_s: float
    host: str | None = None
    namespaces: Sequence[NamespaceId] = ()
    interval_s: float | None = None
    rows: Sequence[ListenerRow] = ()
    targets: Sequence[Target] = ()
    peers: Sequence[ConnectionsByPeer] = ()
    totals: HostTotals = field(default_factory=HostTotals)
    verdict: Diagnosis | None = None
    unobserved: Sequence[tuple[str, str]] = ()
