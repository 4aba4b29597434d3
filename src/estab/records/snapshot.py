"""`Snapshot`: one moment on one host and one network namespace."""

from __future__ import annotations

from estab.records.base import Record
from estab.records.stalls import PeerLook

SNAPSHOT_SCHEMA = "estab.snapshot/1"
LISTED_THREADS = 16  # of a process, at most
UNIX_FAMILY = 1  # AF_UNIX


class Unobserved(Record, frozen=True, kw_only=True):
    """A field that could not be read, and why. `field` is its path in the snapshot, as `listeners.owners`."""

    field: str
    why: str


NamespaceId = tuple[str | None, int | None, str | None]  # host name, inode and name of the network namespace


class HostFacts(Record, frozen=True, kw_only=True):
    """What the host is. `cores` are those that this process may run on.

    `kernel` is `uname -r`; `kernel_build` is `uname -v`, and where there is one /proc/version_signature after it: they
    say the patch level that Debian's and Ubuntu's releases do not. `hz`: ticks of its timers in a second (CONFIG_HZ).
    """

    hostname: str | None = None
    kernel: str | None = None
    kernel_build: str | None = None
    hz: int | None = None
    machine: str | None = None
    cores: int | None = None
    memory_bytes: int | None = None
    netns_inode: int | None = None
    euid: int | None = None


class Thread(Record, frozen=True, kw_only=True):
    """A thread of a process since it began: how long it ran, and how long it could have run and waited for a core.

    Source: /proc/PID/task/TID/schedstat (`proc_pid_schedstat` in fs/proc/base.c). `state` is the letter of
    proc_pid_stat(5): R runs or could, S sleeps, D waits without a signal waking it, T is stopped.
    """

    tid: int
    state: str
    ran_ns: int
    waited_ns: int


class CgroupCpu(Record, frozen=True, kw_only=True):
    """What CPU a process's cgroup may use, and how often that stopped it. Totals since the group was made.

    Of the groups on the way to the root it is the one that was stopped longest, or else has the narrowest quota.
    `cores` is quota over period; `throttled` of `periods` periods were used up before they ended. cgroup v1 and v2.
    """

    path: str
    cores: float | None = None
    periods: int | None = None
    throttled: int | None = None
    throttled_us: int | None = None


class Tasks(Record, frozen=True, kw_only=True):
    """Processes and threads (tasks) against the limits that hold for a process; over a run when most were seen.

    `in_cgroup` of `cgroup_most` are there in `cgroup`: of its groups on the way to the root the one with the narrowest
    pids.max. `refused`: how often the kernel refused one for that since the group was made (pids.events).
    `of_user` of `user_most` are its user's, in its user namespace, by its RLIMIT_NPROC; None where that is far away.
    Limits are None where none holds: RLIMIT_NPROC does not for root, nor with CAP_SYS_RESOURCE or CAP_SYS_ADMIN.
    """

    cgroup: str | None = None
    cgroup_most: int | None = None
    in_cgroup: int | None = None
    refused: int | None = None
    user_most: int | None = None
    of_user: int | None = None


_OF_AN_ID = 6


class ServiceName(Record, frozen=True, kw_only=True):
    """What a process belongs to, by its cgroup. None: to none, or its name is told nowhere that could be read.

    `unit` is systemd's (`nginx.service`), `container` the name that its user gave, `pod` NAMESPACE/NAME.
    """

    unit: str | None = None
    container: str | None = None
    container_id: str | None = None
    pod: str | None = None
    pod_uid: str | None = None

    @property
    def words(self) -> str:
        """The widest that it has, with a container's name or the first 12 letters of its id: `pod default/web-0`."""
        kind = "pod " if self.pod or self.pod_uid else "container " if self.container or self.container_id else ""
        return kind + (self.short if kind else self.unit or "")

    @property
    def short(self) -> str:
        """The same without what it is, and of a unit without `.service`: `default/web-0`, `nginx`."""
        container = self.container or (self.container_id or "")[:12]
        return self.pod or self.pod_uid or container or (self.unit or "").removesuffix(".service")

    @property
    def names(self) -> list[str]:
        """All that it is called."""
        every = (self.unit, self.container, self.container_id, self.pod, self.pod_uid)
        return [name for name in every if name is not None]

    def id_that_begins(self, text: str) -> str | None:
        """The id of its container or pod that begins with `text`, of six letters at least."""
        ids = (self.container_id, self.pod_uid) if len(text) >= _OF_AN_ID else ()
        return next((each for each in ids if each is not None and each.startswith(text)), None)

    def is_called(self, text: str) -> bool:
        """Whether `text` is one of its names, or begins one of its ids."""
        return text in self.names or self.id_that_begins(text) is not None


class Process(Record, frozen=True, kw_only=True):
    """A process that owns a socket. `nofile_*` are its RLIMIT_NOFILE; `fds` is how many descriptors it has open.

    What costs more is None where it was not asked for: `thread_states` counts its threads by the letter of their state,
    `threads` are those that ran longest, up to 16, of 256 that are looked at. `started_ticks` since boot tells it from
    a later process with the same pid.
    """

    pid: int
    name: str | None = None
    fds: int | None = None
    nofile_soft: int | None = None
    nofile_hard: int | None = None
    cpu_s: float | None = None
    rss_bytes: int | None = None
    started_ticks: int | None = None
    thread_states: dict[str, int] | None = None
    threads: list[Thread] | None = None
    cgroup_cpu: CgroupCpu | None = None
    tasks: Tasks | None = None
    service: ServiceName | None = None

    @property
    def words(self) -> str:
        """`gunicorn (pid 4711, web.service)`."""
        where = f", {self.service.words}" if self.service is not None and self.service.words else ""
        return f"{self.name or 'its process'} (pid {self.pid}{where})"


class Listener(Record, frozen=True, kw_only=True):
    """A listening socket as sock_diag shows it: rqueue is the queue, wqueue the limit (docs/kernel.md rules 2 and 31).

    `limit` is the backlog that the kernel granted, B: B+1 connections fit. `drops` is sk_drops, which also counts
    TCP_DEFER_ACCEPT drops. `owners` is None where it could not be read. `v6only` is of IPv6 ones alone.

    Of a UNIX socket `family` is 1, `address` its path as `unix:/run/app.sock` or its abstract name as `unix:@app`, and
    `port` 0; `drops` is None, for the kernel counts none.
    """

    family: int  # 4 or 6; 1 of a UNIX socket
    address: str
    port: int
    depth: int
    limit: int
    worst_depth: int | None = None
    drops: int | None = None
    inode: int | None = None
    uid: int | None = None
    v6only: bool | None = None
    owners: list[Process] | None = None


class PortHolder(Record, frozen=True, kw_only=True):
    """A socket that has a port as its local one, though nothing listens there. `state` is as `ss` names it.

    `peer_*` are None where it did bind() alone. `owner` is None where no process has it (TIME-WAIT), or none was seen.
    """

    state: str
    address: str
    peer_address: str | None = None
    peer_port: int | None = None
    owner: Process | None = None


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


class PeerCount(Record, frozen=True, kw_only=True):
    """Connections with one remote address, all states but LISTEN."""

    address: str
    sockets: int


class PortCount(Record, frozen=True, kw_only=True):
    """Connections on one local port by state, as `ss` names the states."""

    port: int
    states: dict[str, int]


class Census(Record, frozen=True, kw_only=True):
    """Every TCP socket of the namespace, counted. The busiest `ports` and `peers` only, fullest first."""

    sockets: int
    states: dict[str, int]
    ports: list[PortCount]
    peers: list[PeerCount]


class Conntrack(Record, frozen=True, kw_only=True):
    """The connection tracking table. `maximum` is the initial namespace's; the counters are totals since boot.

    `drop` and `early_drop` and `insert_failed` are summed over the CPUs (nf_conntrack_standalone.c ct_cpu_seq_show),
    and so is `invalid`: packets that fit no flow, as TCP segments outside of its window, which NAT leaves as they came.
    """

    count: int | None = None
    maximum: int | None = None
    buckets: int | None = None
    drop: int | None = None
    early_drop: int | None = None
    insert_failed: int | None = None
    invalid: int | None = None


class Softnet(Record, frozen=True, kw_only=True):
    """The receive queues of all CPUs of the machine, all network namespaces together; totals since boot.

    `dropped`: packets that found one longer than net.core.netdev_max_backlog, as RPS, loopback, veth and tunnels fill
    it; each counts in rx_dropped of its interface too. `squeezed`: how often the softirq ended with work left.
    Source: /proc/net/softnet_stat (`enqueue_to_backlog`, net/core/dev.c).
    """

    dropped: int
    squeezed: int


class NeighbourTable(Record, frozen=True, kw_only=True):
    """Link addresses of neighbours: `arp_cache` (IPv4) or `ndisc_cache` (IPv6), one table for the whole machine.

    `maximum` is gc_thresh3; `table_fulls`, since boot: how often a new neighbour found no place (`neigh_alloc`,
    net/core/neighbour.c).
    """

    name: str
    entries: int
    maximum: int | None = None
    table_fulls: int | None = None


class CgroupLimits(Record, frozen=True, kw_only=True):
    """This process's cgroup v2 limits, the narrowest on the way to the root. None: no limit, or not readable."""

    path: str | None = None
    memory_max_bytes: int | None = None
    memory_current_bytes: int | None = None
    pids_max: int | None = None
    pids_current: int | None = None
    cpu_max_cores: float | None = None


class Nic(Record, frozen=True, kw_only=True):
    """One network interface: kernel statistics, and those of `ethtool -S` that tell of flow allowances and drops."""

    name: str
    driver: str | None = None
    mtu: int | None = None
    rx_dropped: int | None = None
    tx_dropped: int | None = None
    allowances: dict[str, int] = {}


class Security(Record, frozen=True, kw_only=True):
    """What may stand in the way. `selinux` enforcing, permissive or disabled; `apparmor` the own profile.

    `nft_rules` and `iptables_rules` are whether there are any; None where that could not be read.
    """

    selinux: str | None = None
    apparmor: str | None = None
    nft_rules: bool | None = None
    iptables_rules: bool | None = None


class DropReasons(Record, frozen=True, kw_only=True):
    """Drops and resets that tracefs showed, by the kernel's names, for TCP, all namespaces of the host together.

    What it cannot see: a SYN dropped on a full accept queue or SYN queue makes no event at all (docs/kernel.md rule
    28).
    """

    seconds: float
    kfree_skb: dict[str, int] = {}
    resets_sent: int = 0
    resets_received: int = 0
    synack_retransmits: int = 0


class Tuple4(Record, frozen=True, kw_only=True):
    """One connection: local and remote address and port, as the end that lists it sees them."""

    local_address: str
    local_port: int
    remote_address: str
    remote_port: int


class Snapshot(Record, frozen=True, kw_only=True):
    """One moment on one host and one network namespace. A field that could not be read is None; `unobserved` says why.

    `taken_at_s` is Unix time. `counters` are those of /proc/net/netstat and /proc/net/snmp by their kernel names with
    the line's prefix, as `TcpExt.ListenOverflows`. `sockstat` is /proc/net/sockstat(6), as `TCP.tw`; `worst_sockstat`
    is the most of `TCP.orphan` and `TCP.mem` that a run saw since the snapshot before, None elsewhere. `sysctls` are by
    their dotted names, values as the kernel prints them split into integers where they are integers. `netns` is the
    name or PID that was asked for, None for the own. `connections` are those of one port's server side, listed only
    where they are to be matched against a client's. `targets` are the remote addresses and ports with most connections
    from here, fullest first; a snapshot of one port or towards one target has none, a live view not at every moment.
    `port_holders` are the sockets that have the one port that was asked for; None where something listens there.
    `unix_listeners` are the UNIX sockets that listen; a snapshot of one port has none.
    `silent_peers`: those that do not acknowledge what connections from here send again and again, four at the most.
    """

    schema: str = SNAPSHOT_SCHEMA
    taken_at_s: float
    host: HostFacts
    nofile_soft: int | None = None
    nofile_hard: int | None = None
    sysctls: dict[str, list[int] | str] | None = None
    listeners: list[Listener] | None = None
    unix_listeners: list[Listener] | None = None
    states: dict[str, int] | None = None
    counters: dict[str, int] | None = None
    sockstat: dict[str, int] | None = None
    worst_sockstat: dict[str, int] | None = None
    server_sockets: ServerSockets | None = None
    port_holders: list[PortHolder] | None = None
    port_use: PortUse | None = None
    targets: list[PortUse] | None = None
    census: Census | None = None
    conntrack: Conntrack | None = None
    softnet: Softnet | None = None
    neighbours: list[NeighbourTable] | None = None
    cgroup: CgroupLimits | None = None
    security: Security | None = None
    nics: list[Nic] | None = None
    drop_reasons: DropReasons | None = None
    memory_available_bytes: int | None = None
    netns: str | None = None
    connections: list[Tuple4] | None = None
    silent_peers: list[PeerLook] | None = None
    unobserved: list[Unobserved] = []

    @property
    def all_listeners(self) -> list[Listener]:
        """Those of TCP, then the UNIX sockets."""
        return [*(self.listeners or ()), *(self.unix_listeners or ())]

    @property
    def namespace(self) -> NamespaceId:
        """Of which namespace of which host it is: only with one of the same can it be set against another."""
        return self.host.hostname, self.host.netns_inode, self.netns
