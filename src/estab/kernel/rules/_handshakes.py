"""Handshakes through a listener's two queues, packet by packet, in simulated time.

What lives here: one listener, N clients, the rules of the modules beside this one, and a heap of events. What never
may: a clock, randomness, or a prediction to show (that is `burst`). Timers are nominal: the timer wheel's rounding
moves them by less than the distances between them.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from estab.kernel.rules import accept_queue, syn_cookies, synack_retries

State = Literal["SYN_SENT", "ESTABLISHED", "RESET", "ETIMEDOUT", "own_timeout"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the simulation is told. Times in seconds.

    `fits_backlog`: half-open entries that the backlog lets in. `fits_max_syn_backlog`: those that
    tcp_max_syn_backlog lets in, None where it is not asked. `syn_waits_s`: between a SYN and the next.
    """

    limit: int
    tcp_syncookies: int
    fits_backlog: int
    fits_max_syn_backlog: int | None
    tcp_abort_on_overflow: int
    synack_retries: int
    synack_wait_s: Callable[[int], float]
    drops_syn_always: bool
    rtt_s: float
    syn_waits_s: Sequence[float]
    gives_up_s: float
    own_timeout_s: float | None
    segment_bytes: tuple[int, ...]
    accepts_from_s: float
    accepts_per_s: float


@dataclass(kw_only=True)
class World:
    """Both ends. `half_open` and `queued`: clients by number; `timeouts`: SYN-ACK timeouts of each half-open one."""

    settings: Settings
    until_s: float
    clients: list[State]
    half_open: dict[int, int] = field(default_factory=dict)
    had_half_open: set[int] = field(default_factory=set)
    had_cookie: set[int] = field(default_factory=set)
    young: int = 0  # half-open ones whose SYN-ACK was not sent again yet
    queued: deque[tuple[int, float]] = field(default_factory=deque)  # client, and since when
    accepted: set[int] = field(default_factory=set)
    known: set[int] = field(default_factory=set)  # ESTABLISHED at the server, accepted or not
    connected: set[int] = field(default_factory=set)  # has ever been ESTABLISHED at the client
    counters: Counter[str] = field(default_factory=Counter)
    next_accept_s: float = 0.0
    _events: list[tuple[float, int, int, Callable[[float], None]]] = field(default_factory=list)
    _serial: int = 0

    def at(self, time_s: float, client: int, do: Callable[[float], None]) -> None:
        """Run `do` then. Of what happens at one moment, the lower client goes first, then what was asked first."""
        if time_s > self.until_s:
            return
        self._serial += 1
        heapq.heappush(self._events, (time_s, client, self._serial, do))

    def run(self) -> None:
        """Let everything happen up to and including `until_s`."""
        while self._events:
            time_s, _, _, do = heapq.heappop(self._events)
            self.accept_until(time_s)
            do(time_s)
        self.accept_until(self.until_s)

    def accept_until(self, now: float) -> None:
        """Let the server accept what it could have accepted by `now`, at its rate, one at a time."""
        rate = self.settings.accepts_per_s
        while rate > 0 and self.queued:
            client, since = self.queued[0]
            taken = max(self.next_accept_s, since)
            if taken > now:
                return
            self.queued.popleft()
            self.accepted.add(client)
            self.next_accept_s = taken + 1 / rate

    # -- the client ---------------------------------------------------------------------------------------------------

    def connect(self, client: int, start_s: float) -> None:
        """A client's connect() whose first SYN reaches the server at `start_s`."""
        rules = self.settings
        self.at(start_s, client, lambda now: self.send_syn(client, now, 0))
        self.at(start_s + rules.gives_up_s, client, lambda _: self.give_up(client, "ETIMEDOUT"))
        if rules.own_timeout_s is not None:
            self.at(start_s + rules.own_timeout_s, client, lambda _: self.give_up(client, "own_timeout"))

    def give_up(self, client: int, how: State) -> None:
        """The end of a connect() that has not succeeded by now."""
        if self.clients[client] == "SYN_SENT":
            self.clients[client] = how

    def send_syn(self, client: int, now: float, number: int) -> None:
        """A SYN reaches the server, if its client still waits, and the next one is set."""
        if self.clients[client] != "SYN_SENT":
            return
        self.syn(client, now)
        if number < len(self.settings.syn_waits_s):
            wait = self.settings.syn_waits_s[number]
            self.at(now + wait, client, lambda then: self.send_syn(client, then, number + 1))

    def synack(self, client: int, now: float) -> None:
        """A SYN-ACK reaches the client and its ACK, with the first flight of data, the server; half an RTT each."""
        if self.clients[client] == "SYN_SENT":
            self.clients[client] = "ESTABLISHED"
            self.connected.add(client)
            self.first_flight(client, now)
        elif self.clients[client] == "ESTABLISHED":
            self.ack(client, now, 0)

    def first_flight(self, client: int, now: float) -> None:
        """The bare ACK and the data segments behind it."""
        self.ack(client, now, 0)
        shift = 0
        for size in self.settings.segment_bytes:
            self.ack(client, now, shift)
            shift += size
        if self.settings.segment_bytes:
            self.retransmit_data(client, now, 0)

    def retransmit_data(self, client: int, now: float, number: int) -> None:
        """The first segment again, until the server knows the client: RTO from one RTT sample, then doubling."""
        rtt = self.settings.rtt_s
        wait = float(min((rtt + max(2 * rtt, 0.2)) * 2**number, 120))

        def again(then: float) -> None:
            if self.clients[client] == "ESTABLISHED" and client not in self.known:
                self.ack(client, then, 0)
                self.retransmit_data(client, then, number + 1)

        self.at(now + wait, client, again)

    # -- the server ---------------------------------------------------------------------------------------------------

    def queue_full(self) -> bool:
        """Whether the accept queue takes no more."""
        return accept_queue.is_full(len(self.queued), self.settings.limit)

    def syn(self, client: int, now: float) -> None:
        """`tcp_conn_request`: cookie, drop or half-open entry, in the kernel's order of tests."""
        if client in self.half_open:
            self.answer(client, now)
            return
        rules = self.settings
        cookie = False
        if rules.tcp_syncookies == 2 or len(self.half_open) >= rules.fits_backlog:
            cookie = rules.tcp_syncookies > 0
            self.counters["TCPReqQFullDoCookies" if cookie else "TCPReqQFullDrop"] += 1
            if not cookie:
                self.counters["ListenDrops"] += 1
                return
        if self.queue_full() and (rules.drops_syn_always or self.young > 1):
            self.overflow()
        elif cookie:
            self.counters["SyncookiesSent"] += 1
            self.had_cookie.add(client)
            self.answer(client, now)
        elif rules.fits_max_syn_backlog is not None and len(self.half_open) >= rules.fits_max_syn_backlog:
            self.counters["ListenDrops"] += 1
        else:
            self.remember(client, now)

    def remember(self, client: int, now: float) -> None:
        """A half-open entry, its SYN-ACK and its timer."""
        self.half_open[client] = 0
        self.young += 1
        self.had_half_open.add(client)
        self.answer(client, now)
        self.at(now + self.settings.synack_wait_s(0), client, lambda then: self.synack_timer(client, then))

    def forget(self, client: int) -> None:
        """The half-open entry goes."""
        if self.half_open.pop(client) == 0:
            self.young -= 1

    def answer(self, client: int, now: float) -> None:
        """The SYN-ACK, its way there and the ACK's way back taken as one round trip."""
        self.at(now + self.settings.rtt_s, client, lambda then: self.synack(client, then))

    def synack_timer(self, client: int, now: float) -> None:
        """`reqsk_timer_handler`: send again, or forget the entry."""
        if client not in self.half_open:
            return
        retries = synack_retries.effective_retries(
            self.settings.synack_retries, len(self.half_open), self.young, self.settings.limit
        )
        if self.half_open[client] >= retries:
            self.forget(client)
            return
        if self.half_open[client] == 0:
            self.young -= 1
        self.half_open[client] += 1
        self.answer(client, now)
        wait = self.settings.synack_wait_s(self.half_open[client])
        self.at(now + wait, client, lambda then: self.synack_timer(client, then))

    def ack(self, client: int, now: float, shift: int) -> None:
        """An ACK or data segment for a handshake that may not be over: `tcp_check_req` or `cookie_v4_check`."""
        self.accept_until(now)
        if client in self.known or self.clients[client] == "RESET":
            return
        if client in self.half_open:
            self.final_ack(client, now)
        elif client in self.had_cookie:
            self.cookie_ack(client, now, shift)
        else:
            self.clients[client] = "RESET"

    def final_ack(self, client: int, now: float) -> None:
        """`tcp_check_req`: into the accept queue, or rule 4 or 7."""
        if not self.queue_full():
            self.forget(client)
            self.establish(client, now)
            return
        self.overflow()
        if self.settings.tcp_abort_on_overflow:
            self.forget(client)
            self.counters["EmbryonicRsts"] += 1
            self.clients[client] = "RESET"

    def cookie_ack(self, client: int, now: float, shift: int) -> None:
        """`cookie_v4_check`: rule 13."""
        if not syn_cookies.cookie_valid(shift):
            self.counters["SyncookiesFailed"] += 1
            self.clients[client] = "RESET"
            return
        self.counters["SyncookiesRecv"] += 1
        if self.queue_full():
            self.overflow()
        else:
            self.establish(client, now)

    def establish(self, client: int, now: float) -> None:
        """The server's socket exists and waits for accept()."""
        self.known.add(client)
        self.queued.append((client, now))

    def overflow(self) -> None:
        """Both counters of a full accept queue."""
        self.counters.update(ListenOverflows=1, ListenDrops=1)


def simulate(arrivals_s: Sequence[float], settings: Settings, until_s: float) -> World:
    """The world at `until_s`, where client i's first SYN reached the server at `arrivals_s[i]`."""
    world = World(
        settings=settings,
        until_s=until_s,
        clients=["SYN_SENT"] * len(arrivals_s),
        next_accept_s=settings.accepts_from_s,
    )
    for client, start in enumerate(arrivals_s):
        world.connect(client, start)
    world.run()
    return world
