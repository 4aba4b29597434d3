"""Random bursts on a listener that does not accept: does the kernel do what `kernel/rules` predicts, packet by packet?

    python -m tests.lab.random_bursts CASES [SEED [FIRST]]

Two hosts and the lab's wire are made once; each case has its own listener, sysctls, round-trip time and clients. Case k
of a seed is always the same: `… 1 SEED k` plays it alone. Exit status 1 where one differed.

What is looked at is independent of the lab's own eyes: TCP_INFO of each client, /proc/net/tcp and counters at the
server, accept() itself. Nothing is slept for: a case is over when every packet that a host sent has come to the other.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import random
import socket
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests import namespaces as ns

from estab.kernel.rules import accept_queue, burst, syn_queue
from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import predicted_burst, queue_sysctls
from estab.lab.parts.running_kernel import LINEAR
from estab.lab.process.child import Child
from estab.lab.process.namespace import LabNamespace
from estab.lab.stage.hosts import SERVER
from estab.lab.stage.stage import join_hosts
from estab.lab.wire.relay import carry
from estab.lab.wire.spec import WireReport, WireSpec

FIRST_PORT = 5000
_MOST = 500  # clients: what a packet socket of a user namespace takes at once
_LATEST_S = 0.9  # after the first SYN: SYNs and SYN-ACKs are sent again after one second
_libc = ctypes.CDLL(None, use_errno=True)
_STATES = {1: "ESTABLISHED", 2: "SYN_SENT", 7: "CLOSE"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """`spread_rtts`: 0, all SYNs leave the wire at once; "fast", as connect() goes; else over so many round trips."""

    number: int
    backlog: int
    somaxconn: int
    max_syn_backlog: int
    cookies: int
    connects: int
    rtt_s: float
    spread_rtts: float | str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    case: Case
    within_s: float
    exact: bool
    predicted: dict[str, Interval]
    measured: dict[str, int]

    @property
    def differing(self) -> dict[str, str]:
        return {
            name: f"predicted {_say(self.predicted[name])}, measured {self.measured[name]}"
            for name in self.predicted
            if self.measured[name] not in self.predicted[name]
        }

    def __str__(self) -> str:
        asked = ", ".join(f"{name}={value}" for name, value in asdict(self.case).items())
        return f"{asked}; SYNs within {self.within_s * 1000:.1f} ms: {self.differing or 'as predicted'}"


@dataclass(kw_only=True)
class Report:
    seed: int
    seconds: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)
    retaken: int = 0  # measured too late to be before the first retransmission, and played again

    @property
    def differed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.differing]

    def __str__(self) -> str:
        exact = [outcome for outcome in self.outcomes if outcome.exact]
        ghosts = sum(outcome.measured["ghosts"] > 0 for outcome in self.outcomes)
        text = (
            f"seed {self.seed}: {len(self.outcomes)} bursts in {self.seconds:.1f} s: {len(exact)} predicted exactly, "
            f"{len(self.outcomes) - len(exact)} as an interval; {ghosts} had ghosts; {self.retaken} retaken; "
            f"{len(self.differed)} differed"
        )
        return "\n".join([text, *(f"  {one}" for one in self.differed)])


def _say(figure: Interval) -> str:
    return f"{figure.low:g}" if figure.exact else f"{figure.low:g} to {figure.high:g}"


# -- cases -------------------------------------------------------------------------------------------------------------


def case(seed: int, number: int) -> Case:
    """The number-th case of a seed. Sizes are drawn so that small ones, and those near a bound, come often."""
    chance = random.Random(f"{seed}/{number}")

    def size(most: int) -> int:
        return min(most, int(most ** chance.random()) - chance.choice((0, 1)))

    backlog = chance.choice((size(1024), size(128), chance.choice((-1, 0, 1, 5, 128, 511, 4096))))
    somaxconn = chance.choice((size(4096), chance.choice((0, 1, 128, 1024, 4096)), 4096))
    max_syn_backlog = chance.choice((size(2048), size(256), chance.choice((0, 1, 2, 4, 128, 2048))))
    cookies = chance.choice((0, 1, 2))
    bounds = (
        accept_queue.fits(accept_queue.granted(backlog, somaxconn)),
        syn_queue.fits_max_syn_backlog(max_syn_backlog),
    )
    near = chance.choice(bounds) + chance.choice((-1, 0, 1, 2))
    connects = chance.choice((chance.randint(1, _MOST), chance.randint(100, _MOST), near))
    spread: float | str = chance.choices((0.0, "fast", chance.uniform(1, 4)), (6, 2, 2))[0]
    slow = isinstance(spread, str) or spread == 0.0
    return Case(
        number=number,
        backlog=backlog,
        somaxconn=somaxconn,
        max_syn_backlog=max_syn_backlog,
        cookies=cookies,
        connects=max(1, min(_MOST, connects)),
        rtt_s=round(chance.uniform(0.02, 0.2 if slow else 0.05), 4),
        spread_rtts=spread,
    )


# -- the hosts ---------------------------------------------------------------------------------------------------------


class Hosts:
    """A client, a server, and the place of the wire between them; in a process of its own, with which they go."""

    def __init__(self) -> None:
        self.client, self.server, self.middle = LabNamespace("client"), LabNamespace("server"), LabNamespace("wire")
        join_hosts(self.client, self.middle, self.server)

    @contextlib.contextmanager
    def wire(self, spec: WireSpec) -> Iterator[Child[None]]:
        with Child(lambda connection: carry(spec, ("client", "server"), connection), self.middle) as child:
            child.receive()
            yield child

    def passed(self) -> tuple[int, int, int, int]:
        """Packets: sent by the client, come to the server, sent by the server, come to the client."""
        with self.client.entered():
            back, sent = _link()
        with self.server.entered():
            came, answered = _link()
        return sent, came, answered, back


def _link() -> tuple[int, int]:
    """Packets received and sent by eth0 of this thread's namespace."""
    for line in Path("/proc/thread-self/net/dev").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        if name.strip() == "eth0":
            numbers = rest.split()
            return int(numbers[1]), int(numbers[9])
    raise LookupError("no eth0")


class TooLate(Exception):
    """The machine was busy: the look came when something may have been sent again."""


# -- one burst ---------------------------------------------------------------------------------------------------------


def play(hosts: Hosts, one: Case) -> Outcome:
    hosts.server.configure(dict(queue_sysctls(one.somaxconn, one.cookies, one.max_syn_backlog)))
    port = FIRST_PORT + one.number % 20_000
    spec = WireSpec(rtt_s=one.rtt_s, gather_syns=one.connects if one.spread_rtts == 0 else 0)
    with contextlib.ExitStack() as stack:
        with hosts.server.entered():
            listener = stack.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((SERVER, port))
            _listen(listener, one.backlog)
            listener.setblocking(False)
            before = ns.counters()
        with hosts.client.entered():
            clients = [_client(stack) for _ in range(one.connects)]
        started = hosts.passed()
        with hosts.wire(spec) as wire:
            began = time.monotonic()
            _connect(clients, port, one)
            _settle(hosts, started, one.connects)
            measured = _look(hosts, clients, port, before)
            took = time.monotonic() - began
            wire.send(("report",))
            report: WireReport = wire.receive()
        # The wire is gone: what close() sends from here on comes to nobody.
        measured["accepted"] = _accept(listener, stack)
    if took > _LATEST_S or len(report.syns) != one.connects:
        raise TooLate(f"looked after {took:.2f} s, {len(report.syns)} SYNs: {one}")
    return _compare(one, report, measured)


def _listen(listener: socket.socket, backlog: int) -> None:
    """listen(2) itself: Python's turns a negative backlog, which to the kernel is a huge one, into 0."""
    if _libc.listen(listener.fileno(), backlog) != 0:
        raise OSError(ctypes.get_errno(), "listen")


def _client(stack: contextlib.ExitStack) -> socket.socket:
    made = stack.enter_context(socket.socket())
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no TIME_WAIT for the next case
    return made


def _connect(clients: list[socket.socket], port: int, one: Case) -> None:
    whole = 0.0 if isinstance(one.spread_rtts, str) else one.spread_rtts * one.rtt_s
    began = time.monotonic()
    for place, client in enumerate(clients):
        while time.monotonic() < began + whole * place / len(clients):
            time.sleep(0)
        if (code := client.connect_ex((SERVER, port))) != errno.EINPROGRESS:
            raise OSError(code, "connect")


def _settle(hosts: Hosts, started: tuple[int, ...], connects: int) -> None:
    """Returns when nothing is under way: what each host sent has come to the other, and no answer follows."""
    deadline = time.monotonic() + 5
    last: tuple[int, ...] = ()
    since = 0.0
    while True:
        sent, came, answered, back = now = tuple(a - b for a, b in zip(hosts.passed(), started, strict=True))
        if now != last or sent < connects or sent != came or answered != back:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > 0.01:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the wire lost packets: {sent} sent, {came} came; {answered} answered, {back} came")
        time.sleep(0.001)


def _look(hosts: Hosts, clients: list[socket.socket], port: int, before: dict[str, int]) -> dict[str, int]:
    """Both ends as they are now."""
    states = [client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] for client in clients]
    names = [_STATES[state] for state in states]
    here = {c.getsockname()[1] for c, state in zip(clients, names, strict=True) if state == "ESTABLISHED"}
    with hosts.server.entered():
        rows = _rows(port)
        queued = ns.accept_queue(port)
        moved = ns.deltas(before, ns.counters())
    there = {remote for remote, state in rows if state == 1}
    assert there <= here, "the server knows a connection that its client does not"
    return {
        "connected": len(here),
        "server ESTABLISHED": len(there),
        "queued": queued,
        "half-open": sum(state in (3, 12) for _, state in rows),
        "ghosts": len(here - there),
        "SYN_SENT": names.count("SYN_SENT"),
        **moved,
    }


def _rows(port: int) -> list[tuple[int, int]]:
    """Remote port and state of each connection of a local port, from /proc/net/tcp of this namespace."""
    found = []
    for line in Path("/proc/thread-self/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        words = line.split()
        if int(words[1].split(":")[1], 16) == port and words[3] != "0A":
            found.append((int(words[2].split(":")[1], 16), int(words[3], 16)))
    return found


def _accept(listener: socket.socket, stack: contextlib.ExitStack) -> int:
    """How many accept() gives until there are no more."""
    number = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            accepted = stack.enter_context(listener.accept()[0])
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            number += 1
    return number


def _compare(one: Case, report: WireReport, measured: dict[str, int]) -> Outcome:
    """The rule is told within which time the SYNs came to the server: as they passed, and at most so much later."""
    times = [syn.at_s for syn in report.syns]
    within_s = 0.0 if one.spread_rtts == 0 else max(times) - min(times) + max(report.added_s)
    clients = burst.Clients(connects=one.connects, within_s=within_s, rtt_s=one.rtt_s, tcp_syn_linear_timeouts=LINEAR)
    found = predicted_burst(
        clients, None, backlog=one.backlog, somaxconn=one.somaxconn, cookies=one.cookies,
        max_syn_backlog=one.max_syn_backlog,
    )  # fmt: skip
    predicted: dict[str, Any] = {
        "connected": found.connected,
        "server ESTABLISHED": found.established,
        "queued": found.queued,
        "accepted": found.queued,  # by accept(), when it is called at last
        "half-open": found.half_open,
        "ghosts": found.ghosts,
        "SYN_SENT": found.waiting,
        **found.counters,
    }
    seen = {name: measured.get(name, 0) for name in predicted}  # counters that stood still are not in `measured`
    return Outcome(case=one, within_s=within_s, exact=found.exact, predicted=predicted, measured=seen)


# -- all of them -------------------------------------------------------------------------------------------------------


def run(cases: int, seed: int, first: int = 0) -> Report:
    """Plays cases of a seed in namespaces of a child's own. Raises namespaces.NamespaceRefused where there are none."""

    def work() -> Report:
        hosts = Hosts()
        report = Report(seed=seed)
        began = time.monotonic()
        for number in range(first, first + cases):
            for attempt in range(3):
                try:
                    report.outcomes.append(play(hosts, case(seed, number)))
                    break
                except TooLate:
                    if attempt == 2:
                        raise
                    report.retaken += 1
        report.seconds = time.monotonic() - began
        return report

    found: Report = ns.in_namespace(work, timeout_s=30 + cases)
    return found


def main() -> int:
    numbers = [int(text) for text in sys.argv[1:4]] or [200]
    cases, seed, first = [*numbers, *[random.randrange(1 << 32), 0][len(numbers) - 1 :]]
    report = run(cases, seed, first)
    print(report)
    return 1 if report.differed else 0


if __name__ == "__main__":
    sys.exit(main())
