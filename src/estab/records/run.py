"""`RunResult`: what one command did, what failed, what the kernel showed meanwhile, and the verdict."""

from __future__ import annotations

from estab.records.base import Record
from estab.records.connect_after import ConnectAfter, NameAddress
from estab.records.deltas import rise
from estab.records.diagnosis import Diagnosis
from estab.records.failure import Failure
from estab.records.probes import Probes, SizeProbe
from estab.records.program import Program, UnixQueue
from estab.records.snapshot import HostFacts, PortUse, Process, Snapshot, Tuple4
from estab.records.stalls import Stall, Stalls
from estab.records.timeline import ServerLook, TimelinePoint

RUN_SCHEMA = "estab.run/1"
# What the first records call, in `config`, what has one name everywhere since.
_RENAMED = {"workers": "processes", "accept_gap_s": "accept_delay_s", "churn_per_s": "churn_rate_per_s"}


class Funnel(Record, frozen=True, kw_only=True):
    """Connections that came so far. `accepted` is the server's word, None where the server was not seen.

    attempted: connect() was called, or a socket was asked for. connected: the client's side is ESTABLISHED.
    first_byte: the first byte of an answer came. completed: ended as planned, without a failure.
    """

    attempted: int = 0
    connected: int = 0
    accepted: int | None = None
    first_byte: int = 0
    completed: int = 0


class Requests(Record, frozen=True, kw_only=True):
    """Requests answered in full; echoes are verified. `bytes` is what came back. `per_second` over `seconds`.

    `http_status`: replies of HTTP by status ("200"), of whichever: None where it was not HTTP. `renewed`: connections
    that were made anew when the server had closed one, as HTTP lets it, or one had failed; None where none would be.
    """

    count: int = 0
    per_second: float | None = None
    bytes: int = 0
    seconds: float | None = None
    http_status: dict[str, int] | None = None
    renewed: int | None = None


class OpenLoop(Record, frozen=True, kw_only=True):
    """How well a schedule was kept. `scheduled` were due within the run, and each is timed from when it was due.

    late: began more than 1 ms after it was due and something was free for it: our own workers' doing. waited: found
    no free connection (churn: slot) when due. unsent: had not begun when the run was given up; each stands in the
    latencies with as long as it had waited by then, which is less than it would have.
    """

    rate_per_s: float
    arrivals: str
    scheduled: int
    late: int
    worst_late_ms: float
    waited: int
    unsent: int


class Percentiles(Record, frozen=True, kw_only=True):
    """A latency distribution in microseconds. `hdr_ns` is the HDR histogram, values in nanoseconds, V2 base64."""

    count: int
    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    p999: float | None = None
    max: float | None = None
    hdr_ns: str | None = None


class Latency(Record, frozen=True, kw_only=True):
    """Connect: from connect() until ESTABLISHED was seen. Request: from the first byte sent to the last received.

    In an open loop both count from when they were due: the connect in churn, the request in bench.
    """

    connect_us: Percentiles | None = None
    request_us: Percentiles | None = None


class Visitors(Record, frozen=True, kw_only=True):
    """The short connections that came and went beside those that were held: their part of the run's totals."""

    funnel: Funnel
    failures: list[Failure] = []
    open_loop: OpenLoop | None = None
    latency: Latency


class LateConnect(Record, frozen=True, kw_only=True):
    """One more connect just before held connections were closed, where others had been refused.

    `at_s`: seconds since the start of the run. `open`: how many were then. `errno`: what it gave; None: it connected.
    """

    at_s: float
    open: int
    errno: str | None = None


class IdleGap(Record, frozen=True, kw_only=True):
    """Connections that asked, were answered, rested for `gap_s` seconds and asked again, until the load's end.

    `rested`: so many of `connections` were answered and began to rest. `answered`: answers to what was asked after a
    rest; the last came `last_answer_s` after the start of the run. The others count connections that ended: `closed` by
    FIN, `reset` by RST, `silent` (asked again, and no answer came within the timeout), `wrong` (by anything else, as a
    reply that is none). `unasked` of these ended by themselves, while they rested; of the silent ones `unacknowledged`
    had a request that the other end's kernel did not acknowledge. They had rested for `least_s` to `most_s` when they
    ended or were asked in vain, and that was `first_s` to `last_s` after the start; None: none ended.
    """

    gap_s: float
    connections: int
    rested: int = 0
    answered: int = 0
    last_answer_s: float | None = None
    closed: int = 0
    reset: int = 0
    silent: int = 0
    wrong: int = 0
    unasked: int = 0
    unacknowledged: int = 0
    least_s: float | None = None
    most_s: float | None = None
    first_s: float | None = None
    last_s: float | None = None

    @property
    def ended(self) -> int:
        """Connections that did not stay, however they ended."""
        return self.closed + self.reset + self.silent + self.wrong


class ListenerWatch(Record, frozen=True, kw_only=True):
    """The target's listener over the run: its limit B (B+1 fit), and the worst that was seen of it.

    `listeners` is how many sockets listen there (SO_REUSEPORT); the other figures are those of the fullest.
    `full_samples` of `samples` found the queue at B+1. `rose_only`: the depth never fell while it was above 0.
    `queued_at_end`/`accepted_at_end`: server sockets without and with an inode when every connect had been settled, or,
    where it had accepted more by then, just before held connections were closed. `inode` names the socket.
    """

    address: str
    port: int
    listeners: int
    limit: int
    worst_depth: int
    last_depth: int
    samples: int
    full_samples: int
    rose_only: bool
    drops: int | None = None
    queued_at_end: int | None = None
    accepted_at_end: int | None = None
    inode: int | None = None


class Worker(Record, frozen=True, kw_only=True):
    """A process of ours that carried load. `exit` is its exit status (negative: the signal), 0 when it ended well.

    `cpu_fraction` is its share of one core in its busiest half second, 0 to 1; `cpu_s` is the CPU time in all,
    `waited_s` for how long it could have run and waited for a core that others had.
    """

    pid: int
    role: str  # client or server
    exit: int | None = None
    attempted: int = 0
    cpu_s: float | None = None
    cpu_fraction: float | None = None
    waited_s: float | None = None
    worst_lag_ms: float | None = None
    nofile_soft: int | None = None
    worst_fds: int | None = None
    rss_bytes: int | None = None
    lost: str | None = None


class ErrorOrder(Record, frozen=True, kw_only=True):
    """What one more write and one more read gave on connections after their first error, in that order.

    ECONNRESET, EPIPE, eof: a RST came. EPIPE, EPIPE, eof without ECONNRESET: a FIN and then a RST (docs/kernel.md rule
    14).
    """

    order: list[str]
    count: int


class ArrivalOrder(Record, frozen=True, kw_only=True):
    """Whether those that came first stayed, of a load that keeps what it opens.

    `stayed`: open at the load's end. `failed`: before it. `pairs`: one that stayed with one that failed, of the same
    process; in `in_order` of these what stayed had begun its connect first. About half: order played no part.
    """

    stayed: int
    failed: int
    pairs: int
    in_order: int


class Ghosts(Record, frozen=True, kw_only=True):
    """Connections of the run that the client holds as ESTABLISHED and the server does not have. Up to 20 are listed.

    Those to the same target that other programs had before the run are in neither of the client's figures. They are
    counted when every connect had been settled; `at_close`: so many were left when all was about to be closed, where
    that was looked at.
    """

    count: int
    client_established: int
    server_established: int
    examples: list[Tuple4] = []
    at_close: int | None = None


class ClientSide(Record, frozen=True, kw_only=True):
    """The client's end. `port_use` is the worst seen towards the target.

    `processes` are those of a program that was watched, with the most descriptors that were seen in use (`fds`).

    `deltas` is what the counters of its namespace rose by, zeros included; ask `rose`, which reads old records too.

    `resending`: four connections at the most whose data was sent again and again, one after the other: how each fared
    from when that was seen on, at 8 looks at the most (of more, the first four and the last). They are the host's to
    the target that were not there before the run.
    """

    before: Snapshot | None = None
    after: Snapshot | None = None
    deltas: dict[str, int] | None = None
    port_use: PortUse | None = None
    resending: list[Stall] = []
    workers: list[Worker] = []
    processes: list[Process] | None = None

    def rose(self, counter: str) -> int | None:
        """By how much a counter (`TcpExt.ListenOverflows`) rose within the run; None: not observed."""
        return rise(counter, self.deltas, _counters(self.before), _counters(self.after))


class ServerSide(Record, frozen=True, kw_only=True):
    """The server's end, when the target listens on this host; otherwise `observed` is False and `why` says so.

    `listener` is the one in greatest distress; `listeners` are all where there are several (SO_REUSEPORT), each with
    its own figures. `processes` are their owners with the most descriptors that were seen in use (`fds`).
    `embedded`: the server is this run's own. `via`: the command that its snapshots came from; `looks` has what each of
    them shows of the server, for no timeline does.
    `deltas` is what the counters of its namespace rose by, zeros included; ask `rose`, which reads old records too.
    `unix_queues`: the UNIX sockets that listen in its namespace and at which something waited, the fullest first, where
    the load went over TCP: what serves it may ask there. None: not looked at.
    """

    observed: bool
    why: str | None = None
    embedded: bool = False
    via: str | None = None
    before: Snapshot | None = None
    after: Snapshot | None = None
    deltas: dict[str, int] | None = None
    listener: ListenerWatch | None = None
    looks: list[ServerLook] = []
    listeners: list[ListenerWatch] = []
    processes: list[Process] | None = None
    workers: list[Worker] = []
    unix_queues: list[UnixQueue] | None = None

    def rose(self, counter: str) -> int | None:
        """By how much a counter (`TcpExt.ListenOverflows`) rose within the run; None: not observed."""
        return rise(counter, self.deltas, _counters(self.before), _counters(self.after)) if self.observed else None


def _counters(snapshot: Snapshot | None) -> dict[str, int] | None:
    return snapshot.counters if snapshot is not None else None


class RunResult(Record, frozen=True, kw_only=True):
    """What one command did. `config`: what was asked, units in the names. `interrupted`: ended by a signal.

    `elapsed_s` is from the first connect to the last close, `drain_s` the part of it after the load's own time, when
    what had begun was waited for; None where that time has no end of its own (hold, serve).
    `program`: whose connections they were, where they were no load of estab's; then what only the load itself could
    know, as first bytes, requests and what ended well, is not in the funnel: `completed` is what connected.
    `stalls`: its connections that got no answer in time, None where none was.
    `addresses`: those of the target's name, where it has several, in the resolver's order; the load asked the first.
    `probes`: what a few connects of their own told, where these were asked for.
    `stopped`: why it ended before its time. `no_echo`, `no_http`: the first 20 replies to a process were no echoes, or
    not HTTP, and none was.
    """

    schema: str = RUN_SCHEMA
    command: str
    config: dict[str, int | float | str | bool | list[str] | None]
    host: HostFacts
    started_at_s: float
    elapsed_s: float
    drain_s: float | None = None
    engine: str
    interrupted: bool = False
    stopped: str | None = None
    funnel: Funnel
    failures: list[Failure] = []
    requests: Requests | None = None
    open_loop: OpenLoop | None = None
    visitors: Visitors | None = None
    latency: Latency = Latency()
    syn_retransmits: dict[str, int] = {}
    timeline: list[TimelinePoint] = []
    error_orders: list[ErrorOrder] = []
    arrival_order: ArrivalOrder | None = None
    late_connect: LateConnect | None = None
    ghosts: Ghosts | None = None
    size_probe: SizeProbe | None = None
    stalls: Stalls | None = None
    connect_after: ConnectAfter | None = None
    addresses: list[NameAddress] = []
    probes: Probes | None = None
    idle_gaps: list[IdleGap] = []
    client: ClientSide = ClientSide()
    server: ServerSide
    program: Program | None = None
    diagnosis: Diagnosis | None = None
    estab_version: str | None = None

    def __post_init__(self) -> None:
        for before, now in _RENAMED.items():
            if before in self.config:
                self.config.setdefault(now, self.config.pop(before))

    @property
    def cause(self) -> str | None:
        """The cause that the judge names. None: it names none, or the run was not judged."""
        return self.diagnosis.cause if self.diagnosis is not None else None

    @property
    def load_s(self) -> float:
        """Seconds in which load was begun: `elapsed_s` without the drain, which older records do not tell apart."""
        if self.drain_s is not None:
            return self.elapsed_s - self.drain_s
        asked = self.config.get("duration_s")
        if self.command == "hold" or isinstance(asked, bool) or not isinstance(asked, int | float) or asked <= 0:
            return self.elapsed_s
        return min(float(asked), self.elapsed_s)

    @property
    def client_failures(self) -> int:
        """Connections that failed at the client: neither what accept() gives, nor a status that nobody wished for."""
        return sum(failure.count for failure in self.failures if failure.is_clients)

    @property
    def no_echo(self) -> Failure | None:
        """The replies that were no echoes, where not one reply was: the target is no echo server."""
        return self._none_but("wrong_bytes")

    @property
    def no_http(self) -> Failure | None:
        """The replies that were not HTTP, where not one was."""
        return self._none_but("malformed")

    def _none_but(self, errno: str) -> Failure | None:
        if self.requests is None or self.requests.count:
            return None
        return next((failure for failure in self.failures if failure.errno == errno), None)

    @property
    def unwished(self) -> list[Failure]:
        """Replies of HTTP with a status that nobody wished for (400 and above), most frequent first."""
        return [failure for failure in self.failures if failure.phase == "status"]

    @property
    def lost_workers(self) -> list[Worker]:
        """Worker processes of ours, clients first, that ended before their time."""
        return [worker for worker in (*self.client.workers, *self.server.workers) if worker.lost]

    @property
    def connects_by_resent(self) -> dict[int, int]:
        """`syn_retransmits` with numbers as keys, ascending; what is no number, in a damaged record, is left out."""
        known = [
            (int(key), n) for key, n in self.syn_retransmits.items() if key.isascii() and key.isdigit() and len(key) < 4
        ]
        return dict(sorted(known))

    @property
    def retransmitted(self) -> int:
        """Connects that had to send their SYN more than once."""
        return sum(n for times, n in self.connects_by_resent.items() if times)
