"""What "N connects within T at a round-trip time r" come to: connected, accepted, half-open, ghosts, errors, counters.

All of docs/kernel.md's rules 1 to 19 at once, followed packet by packet (`_handshakes`). Rule 15's served and reset
clients and rule 16's ghosts come out of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from math import inf
from typing import Literal

from estab.kernel.rules import _handshakes, accept_queue, syn_queue, syn_retries, synack_retries
from estab.kernel.rules.inputs import RuleInputError, at_least, one_of, within
from estab.kernel.rules.interval import Interval, spanning
from estab.kernel.rules.kernel_version import KernelVersion

Spread = Literal["unknown", "even", "at_once"]

_CLIENTS_MAX = 1_000_000
_COUNTERS = (
    "ListenOverflows", "ListenDrops", "TCPReqQFullDrop", "TCPReqQFullDoCookies",
    "SyncookiesSent", "SyncookiesRecv", "SyncookiesFailed", "EmbryonicRsts",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """The listener and its server.

    `limit`: B, what `accept_queue.granted` says. `tcp_*`: its namespace's sysctls. `accepts_per_s`: how fast accept()
    is called, 0 never, None as fast as connections come; `accepts_from_s`: when that begins, after the first SYN.
    """

    limit: int
    tcp_syncookies: int = 1
    tcp_max_syn_backlog: int = 2048
    tcp_abort_on_overflow: int = 0
    tcp_synack_retries: int = 5
    tcp_rto_max_ms: int = 120_000
    accepts_per_s: float | None = 0
    accepts_from_s: float = 0
    kernel: KernelVersion


@dataclass(frozen=True, kw_only=True, slots=True)
class Clients:
    """The burst: `connects` connect() calls whose first SYNs reach the server within `within_s`, `rtt_s` away.

    On loopback the whole handshake runs inside connect(): use rtt_s 0. `tcp_*`: the clients' sysctls.
    `timeout_s`: their own connect timeout, None for the kernel's alone. `segment_bytes`: the data segments that each
    sends as soon as it is connected. `spread`: how the first SYNs lie within that time, where it is known.
    """

    connects: int
    within_s: float
    rtt_s: float
    tcp_syn_retries: int = 6
    tcp_syn_linear_timeouts: int = 0
    tcp_rto_max_ms: int = 120_000
    tcp_user_timeout_ms: int = 0
    timeout_s: float | None = None
    segment_bytes: tuple[int, ...] = ()
    spread: Spread = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """How things stand `at_s` after the first SYN. Counts of clients, as intervals; exact where low equals high.

    `connected`: have been ESTABLISHED at the client. `established`: ESTABLISHED at the server, of which `queued` wait
    for accept() and `accepted` were taken. `half_open`: SYN_RECV. `ghosts`: ESTABLISHED at the client alone.
    `waiting`: still SYN_SENT. `errors`: ECONNRESET, ETIMEDOUT, own_timeout (the client's own). `counters`: increments
    at the server's namespace; with data in flight those that count it are lower bounds.
    """

    at_s: float
    connected: Interval
    established: Interval
    queued: Interval
    accepted: Interval
    half_open: Interval
    ghosts: Interval
    waiting: Interval
    errors: dict[str, Interval]
    counters: dict[str, Interval]

    @property
    def exact(self) -> bool:
        """Whether every count of clients is one number."""
        counts = (self.connected, self.established, self.half_open, self.ghosts, self.waiting, *self.errors.values())
        return all(count.exact for count in counts)


def predict(clients: Clients, server: Server, at_s: float | None = None) -> Prediction | None:
    """What the burst comes to by `at_s`; by default when its last handshake is over and no SYN was sent again yet.

    With `spread` unknown, three patterns are followed: all at once, evenly spread, and the queue filled first with the
    rest at the end. Where they agree (T below r, or r = 0) the prediction is exact, and otherwise it spans them, and
    from T = r on the bounds that no order of arrivals can pass.
    None where the kernel's patch level is hidden and matters.
    Raises RuleInputError out of range. Source: the rules of the modules beside this one (docs/kernel.md rules 1 to 19;
    rule 16 for the burst).
    """
    _check(clients, server)
    settings = _settings(clients, server)
    if settings is None:
        return None
    end = clients.within_s + 2 * clients.rtt_s if at_s is None else at_s
    at_least("at_s", end, 0)
    worlds = [_handshakes.simulate(arrivals, settings, end) for arrivals in _patterns(clients, settings)]
    prediction = _summary(end, worlds, counts_data=bool(clients.segment_bytes))
    return _widened(prediction, clients, settings) if _may_overtake(clients, settings) else prediction


def _may_overtake(clients: Clients, settings: _handshakes.Settings) -> bool:
    """Whether SYNs may meet earlier ones' final ACKs in an order that no pattern has: T of a round trip or more."""
    spread = clients.spread == "unknown" and 0 < clients.rtt_s <= clients.within_s
    return spread and clients.connects > accept_queue.fits(settings.limit) and settings.tcp_syncookies != 2


def _widened(prediction: Prediction, clients: Clients, settings: _handshakes.Settings) -> Prediction:
    """The patterns are not the extremes there (measured: 75 half-open, 0 to 74 by the patterns). Bounds instead.

    At most as many are half-open beyond the queue as there is room for, or as there are clients beyond it. Without
    cookies each of them is a client that counts itself connected.
    """
    beyond = clients.connects - settings.limit - 1
    half = max(prediction.half_open.high or 0, min(settings.fits_backlog, beyond))
    wider = replace(prediction, half_open=Interval(low=prediction.half_open.low, high=half))
    if settings.tcp_syncookies:
        return wider
    established = max(prediction.established.high or 0, min(accept_queue.fits(settings.limit), clients.connects))
    connected = min(clients.connects, max(prediction.connected.high or 0, established + half))
    counters = dict(prediction.counters)
    counters["ListenOverflows"] = Interval(low=counters["ListenOverflows"].low, high=None)
    counters["ListenDrops"] = Interval(low=0, high=None)
    return replace(
        wider,
        connected=Interval(low=prediction.connected.low, high=connected),
        established=Interval(low=prediction.established.low, high=established),
        ghosts=Interval(low=prediction.ghosts.low, high=max(prediction.ghosts.high or 0, half)),
        waiting=Interval(low=min(prediction.waiting.low, clients.connects - connected), high=prediction.waiting.high),
        counters=counters,
    )


def _check(clients: Clients, server: Server) -> None:
    within("connects", clients.connects, 0, _CLIENTS_MAX)
    at_least("within_s", clients.within_s, 0)
    at_least("rtt_s", clients.rtt_s, 0)
    at_least("limit", server.limit, 0)
    at_least("accepts_from_s", server.accepts_from_s, 0)
    at_least("accepts_per_s", server.accepts_per_s or 0, 0)
    one_of("tcp_abort_on_overflow", server.tcp_abort_on_overflow, (0, 1))
    if any(size < 1 for size in clients.segment_bytes):
        raise RuleInputError(f"segment_bytes is {clients.segment_bytes}: a data segment has at least one byte")


def _settings(clients: Clients, server: Server) -> _handshakes.Settings | None:
    """The rules' answers for these two, or None where `syn_queue.fits` has none."""
    room = syn_queue.fits_backlog(server.limit, server.kernel)
    one_of("tcp_syncookies", server.tcp_syncookies, (0, 1, 2))
    if room is None:
        return None
    line = syn_retries.timeline(
        clients.tcp_syn_retries, clients.tcp_syn_linear_timeouts, clients.tcp_rto_max_ms, clients.tcp_user_timeout_ms
    )
    times = [0.0, *line.retransmits_s]
    return _handshakes.Settings(
        limit=server.limit,
        tcp_syncookies=server.tcp_syncookies,
        fits_backlog=room,
        fits_max_syn_backlog=(
            None if server.tcp_syncookies else syn_queue.fits_max_syn_backlog(server.tcp_max_syn_backlog)
        ),
        tcp_abort_on_overflow=server.tcp_abort_on_overflow,
        synack_retries=server.tcp_synack_retries,
        synack_wait_s=partial(synack_retries.wait_s, rto_max_ms=server.tcp_rto_max_ms, kernel=server.kernel),
        drops_syn_always=server.kernel.at_least(4, 10),
        rtt_s=clients.rtt_s,
        syn_waits_s=[after - before for before, after in pairwise(times)],
        gives_up_s=line.gives_up_s,
        own_timeout_s=clients.timeout_s,
        segment_bytes=clients.segment_bytes,
        accepts_from_s=server.accepts_from_s,
        accepts_per_s=inf if server.accepts_per_s is None else server.accepts_per_s,
    )


def _patterns(clients: Clients, settings: _handshakes.Settings) -> list[list[float]]:
    """When each first SYN may come, as three extremes: the times of all, in seconds after the first one's."""
    number, span = clients.connects, clients.within_s
    at_once = [0.0] * number
    if span == 0 or number < 2:
        return [at_once]
    even = [place / (number - 1) * span for place in range(number)]
    if clients.spread != "unknown":
        return [even if clients.spread == "even" else at_once]
    early = min(number, accept_queue.fits(settings.limit))
    return [at_once, even, [0.0] * early + [span] * (number - early)]


def _summary(at_s: float, worlds: list[_handshakes.World], *, counts_data: bool) -> Prediction:
    def over(count: Callable[[_handshakes.World], int]) -> Interval:
        return spanning([count(world) for world in worlds])

    def in_state(state: _handshakes.State) -> Interval:
        return over(lambda world: world.clients.count(state))

    def counter(name: str) -> Interval:
        counted = over(lambda world: world.counters[name])
        loose = counts_data and name in ("ListenOverflows", "ListenDrops", "SyncookiesRecv", "SyncookiesFailed")
        return Interval(low=counted.low, high=None) if loose else counted

    return Prediction(
        at_s=at_s,
        connected=over(lambda world: len(world.connected)),
        established=over(lambda world: len(world.known)),
        queued=over(lambda world: len(world.queued)),
        accepted=over(lambda world: len(world.accepted)),
        half_open=over(lambda world: len(world.half_open)),
        ghosts=over(
            lambda world: sum(
                state == "ESTABLISHED" and client not in world.known for client, state in enumerate(world.clients)
            )
        ),
        waiting=in_state("SYN_SENT"),
        errors={
            "ECONNRESET": in_state("RESET"),
            "ETIMEDOUT": in_state("ETIMEDOUT"),
            "own_timeout": in_state("own_timeout"),
        },
        counters={name: counter(name) for name in _COUNTERS},
    )
