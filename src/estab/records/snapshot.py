"""`Snapshot`: one moment on one host and one network namespace."""

from __future__ import annotations

from estab.records.base import Record

SNAPSHOT_SCHEMA = "estab.snapshot/1"


class Unobserved(Record, frozen=True, kw_only=True):
    """A field that could not be read, and why. `field` is its path in the snapshot, as `listeners.owners`."""

    field: str
    why: str


class HostFacts(Record, frozen=True, kw_only=True):
    """What the host is. `cores` are those that this process may run on."""

    hostname: str | None = None
    kernel: str | None = None
    machine: str | None = None
    cores: int | None = None
    memory_bytes: int | None = None
    netns_inode: int | None = None
    euid: int | None = None


class Process(Record, frozen=True, kw_only=True):
    """A process that owns a socket. `nofile_*` are its RLIMIT_NOFILE; `fds` is how many descriptors it has open."""

    pid: int
    name: str | None = None
    fds: int | None = None
    nofile_soft: int | None = None
    nofile_hard: int | None = None
    cpu_s: float | None = None
    rss_bytes: int | None = None


class Listener(Record, frozen=True, kw_only=True):
    """A listening TCP socket as sock_diag shows it (KERNEL: on a listener rqueue is the queue, wqueue the limit).

    `limit` is the backlog that the kernel granted, B: B+1 connections fit. `drops` is sk_drops, which also counts
    TCP_DEFER_ACCEPT drops. `owners` is None where it could not be read.
    """

    family: int  # 4 or 6
    address: str
    port: int
    depth: int
    limit: int
    worst_depth: int | None = None
    drops: int | None = None
    inode: int | None = None
    uid: int | None = None
    owners: list[Process] | None = None


class PortUse(Record, frozen=True, kw_only=True):
    """Local ports in use towards one destination, all source addresses together.

    `capacity` is how many the ephemeral range gives one source address; `time_wait` of `used` are in TIME_WAIT;
    `sources` is how many local addresses are among them; `bound` are ports lost to a plain bind() without a peer.
    `worst_source_used` is the count at the source address that uses most.
    """

    address: str
    port: int
    used: int
    time_wait: int
    sources: int
    capacity: int | None = None
    worst_source_used: int | None = None
    bound: int | None = None


class ServerSockets(Record, frozen=True, kw_only=True):
    """Connections on the server's side of one port, by state, and how many of the ESTABLISHED nobody accepted yet.

    A queued, not yet accepted socket has inode 0 in sock_diag.
    """

    port: int
    states: dict[str, int]
    queued: int
    accepted: int


class Snapshot(Record, frozen=True, kw_only=True):
    """One moment on one host and one network namespace. A field that could not be read is None; `unobserved` says why.

    `taken_at_s` is Unix time. `counters` are those of /proc/net/netstat and /proc/net/snmp by their kernel names with
    the line's prefix, as `TcpExt.ListenOverflows`. `sockstat` is /proc/net/sockstat(6), as `TCP.tw`. `sysctls` are by
    their dotted names, values as the kernel prints them split into integers where they are integers.
    """

    schema: str = SNAPSHOT_SCHEMA
    taken_at_s: float
    host: HostFacts
    nofile_soft: int | None = None
    nofile_hard: int | None = None
    sysctls: dict[str, list[int] | str] | None = None
    listeners: list[Listener] | None = None
    states: dict[str, int] | None = None
    counters: dict[str, int] | None = None
    sockstat: dict[str, int] | None = None
    server_sockets: ServerSockets | None = None
    port_use: PortUse | None = None
    unobserved: list[Unobserved] = []
