"""The plan: how a load is spread over processes and source addresses. Pure: numbers in, worker settings out.

A limit that lies in the way is spread around only where that is cheap: a process for each 1,000 connections or more,
a loopback source address for each 1,000 ports or more. A narrower limit is taken for one that is being tested.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_address
from typing import Any

from estab.errors import UsageError
from estab.kernel.formats.endpoint import is_unix
from estab.load.exchange import NOTHING, Exchange

NS_PER_S = 1_000_000_000
OWN_DESCRIPTORS = 16  # what a worker has open besides its connections: standard streams, block, epoll, Python's own
# What a worker of `hold` in fact has open besides them, by engine; Python's selector takes a pair.
HOLDS_OPEN = {"c": 5, "python": 7}
WORTH_SPREADING = 1_000
PORTS_PER_SOURCE = 10_000  # connect() searches a fuller range ever more slowly (net/ipv4/inet_hashtables.c)
CHURNED_A_SECOND = 40_000  # about what two cores can, both ends; each port is free again after a second
MOST_SIZE = 1 << 30
BYTES_PER_WORKER = 14_000_000  # resident: an interpreter, the engine, its block and buffers (measured)
BYTES_PER_CONNECTION = 120  # of our own, on one end
MOST_DEPTH = 1_024
MOST_RATE = 1e7  # what is due and never sent is counted one by one
MOST_CONNECTIONS = 10_000_000
MOST_RESTING = 1_000  # connections that rest for gaps: one process looks after them all
MOST_DURATION_S = 7 * 24 * 3600.0
MOST_PROCESSES = 1_000

Address = tuple[str, int, int]  # numeric host, port, IPv6 scope; of a UNIX socket `unix:/path`, 0, 0


@dataclass(frozen=True)
class ClientLoad:
    """What the client workers are to do. Times in seconds, sizes in bytes; `timeout_s` 0 leaves it to the kernel.

    `rate_per_s` makes it an open loop: requests (rate) or connects (churn) begin when they are due. `arrivals`: poisson
    or constant. `until_told` leaves the end to the parent, as hold does, or to the load itself (rest).

    `connections` is how many are open at once (churn: slots), `in_flight` how many connects are under way at once.
    `gaps_s` (rest) are for how long connections rest before they ask again: equally many of them, in order, for each;
    `most_lost`: so many that were asked in vain after that end the load; 0: no bound.
    Who asked for it has checked the numbers.
    """

    workload: str
    connections: int
    duration_s: float
    exchange: Exchange = NOTHING
    depth: int = 1
    timeout_s: float = 3.0
    in_flight: int | None = None
    ramp_per_s: float | None = None
    rate_per_s: float | None = None
    arrivals: str = "poisson"
    until_told: bool = False
    attempts: int = 0
    reset: bool = False
    server_closes_first: bool = False
    sources: tuple[str, ...] = ()
    processes: int | None = None
    gaps_s: tuple[float, ...] = ()
    most_lost: int = 0


@dataclass(frozen=True)
class Machine:
    """What the plan has to know of this machine. `ports`: how many the ephemeral range gives one source address.

    `port_range` is that range, first and last; None: not known.
    """

    cores: int
    nofile: int
    ports: int | None
    port_range: tuple[int, int] | None = None


@dataclass(frozen=True)
class Plan:
    """What each client worker gets, the source addresses chosen for all, and how many workers, the last, visit."""

    configs: list[dict[str, Any]] = field(default_factory=list)
    sources: tuple[str, ...] = ()
    visiting: int = 0

    def beside(self, other: Plan) -> Plan:
        """This plan with the workers of another after its own."""
        return Plan(self.configs + other.configs, self.sources, len(other.configs))


def check_range(parameter: str, value: float, least: float, most: float) -> None:
    """Raises UsageError, which names the parameter, unless the value is from `least` to `most`; NaN is not."""
    if not least <= value <= most:
        written = str if "port" in parameter.split("_") else _number
        bounds = f"{written(least)} to {written(most)}{_unit(parameter)}"
        raise UsageError(f"`{parameter}` is {written(value)}, out of range ({bounds})")


def _unit(parameter: str) -> str:
    """What the end of a parameter's name says of its unit, in words."""
    ends = (("_per_s", " a second"), ("_s", " seconds"), ("_bytes", " bytes"))
    return next((words for end, words in ends if parameter.endswith(end)), "")


def _number(value: float) -> str:
    whole = isinstance(value, int) or (abs(value) < 1e15 and value == int(value))
    return f"{int(value):,}" if whole else f"{value:,.6g}"


def is_address(text: str) -> bool:
    """Whether it is a numeric IPv4 or IPv6 address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def check_sources(sources: Iterable[str], target: Address) -> None:
    """Raises UsageError for a source address that is none, or of another family than the target."""
    if is_unix(target[0]):
        if any(True for _ in sources):
            raise UsageError(f"`sources` are addresses to connect from, and {target[0]} is a UNIX socket: leave it out")
        return
    family = ip_address(target[0]).version
    for source in sources:
        if not is_address(source):
            raise UsageError(f"`sources`: {source!r} is no address; give a numeric one of this host")
        version = ip_address(source).version
        if version != family:
            raise UsageError(f"`sources`: {source} is IPv{version} and the target {target[0]} is IPv{family}")


def processes_for(connections: int, cores: int, nofile: int) -> int:
    """How many processes carry `connections`: one a core, and more where descriptors (each) are too few."""
    room = nofile - OWN_DESCRIPTORS
    wanted = min(cores, connections)
    if room >= WORTH_SPREADING:
        wanted = max(wanted, -(-connections // room))
    return max(1, wanted)


def client_processes_for(load: ClientLoad, machine: Machine, *, beside_server: bool) -> int:
    """How many client processes `load` gets; `beside_server`: the server runs on the same cores.

    Asking and answering on the same cores is fastest with half of them for each end (measured: 319,000 against 221,000
    requests a second on two); connecting costs the client so much more that it gets them all (79,000 connects against
    57,000). Holding costs no CPU once connected: one process for each 1,000 will do there, and one for gaps.
    """
    cores = machine.cores
    holds = load.workload == "hold" or (load.workload == "rate" and load.until_told)
    if beside_server and load.workload in ("rr", "flood", "rate") and not holds:
        cores = max(1, cores // 2)
    if holds:
        cores = min(cores, -(-load.connections // WORTH_SPREADING))
    if load.gaps_s:
        cores = 1
    return load.processes or processes_for(load.connections, cores, machine.nofile)


def server_processes_for(connections: int, nofile: int) -> int:
    """How many SO_REUSEPORT servers `connections` need. The kernel's hash spreads unevenly, hence the margin."""
    room = nofile - OWN_DESCRIPTORS
    if room < WORTH_SPREADING or connections <= room:
        return 1
    return -(-connections * 115 // (room * 100))


def loopback_sources(target: str, connections: int, ports: int | None) -> tuple[str, ...]:
    """Source addresses out of 127.0.0.0/8, as many as keep each far from the end of its port range.

    Empty where the one that the kernel picks is enough, or where the target is not on IPv4 loopback.
    """
    if is_unix(target):
        return ()
    address = ip_address(target.split("%", maxsplit=1)[0])
    per_source = PORTS_PER_SOURCE if ports is None else min(PORTS_PER_SOURCE, ports * 7 // 10)
    if not (isinstance(address, IPv4Address) and address.is_loopback):
        return ()
    if per_source < WORTH_SPREADING * 7 // 10 or connections <= per_source:
        return ()
    return loopback_addresses(-(-connections // per_source))


def loopback_addresses(count: int) -> tuple[str, ...]:
    """The first `count` addresses of 127.0.0.0/8, from 127.0.0.1 on."""
    first = int(IPv4Address("127.0.0.1"))
    return tuple(str(IPv4Address(first + i)) for i in range(count))


def shares(total: int, parts: int) -> list[int]:
    """`total` in `parts` whole shares that differ by at most one; empty shares are left out."""
    each, more = divmod(total, parts)
    return [share for share in (each + (i < more) for i in range(parts)) if share]


def make(load: ClientLoad, target: Address, machine: Machine, *, beside_server: bool = False) -> Plan:
    """The settings of every client worker. Raises UsageError for source addresses that cannot be."""
    check_sources(load.sources, target)
    sources = load.sources
    if not sources:
        # A churn's ports stay in TIME_WAIT: not its connections at once, but those of a second are what needs room.
        wanted = max(load.connections, CHURNED_A_SECOND if load.workload == "churn" else 0)
        sources = loopback_sources(target[0], wanted, machine.ports)
    count = client_processes_for(load, machine, beside_server=beside_server)
    parts = shares(load.connections, min(count, load.connections))
    if load.attempts:
        parts = parts[: load.attempts]
    in_flight = shares(max(load.in_flight or load.connections, len(parts)), len(parts))
    attempts = shares(load.attempts, len(parts)) if load.attempts else [0] * len(parts)
    common = {"target": target, **_common(load, len(parts))}
    offered = _offered(machine if not is_unix(target[0]) else replace(machine, port_range=None), len(parts))
    configs = [
        {
            **common,
            **offered[i],
            "connections": share,
            "in_flight": in_flight[i],
            "attempts": attempts[i],
            "sources": _turned(sources, i),
            "rate_per_s": (load.rate_per_s or 0.0) * share / sum(parts),
            "phase": i / len(parts),
            "seed": i + 1,
        }
        for i, share in enumerate(parts)
    ]
    return Plan(configs, sources)


def _offered(machine: Machine, workers: int) -> list[dict[str, int]]:
    """The local ports that each worker offers to the kernel in turn: a slice of the range each.

    A range that is narrower than a thousand is under test, and left to the kernel's own search.
    """
    if machine.port_range is None or (machine.ports or 0) < WORTH_SPREADING:
        return [{"port_low": 0, "port_count": 0}] * workers
    first, last = machine.port_range
    slices, low = [], first
    for share in shares(last - first + 1, workers):
        slices.append({"port_low": low, "port_count": share})
        low += share
    return slices


def _turned(sources: tuple[str, ...], by: int) -> list[Address]:
    """The sources as addresses with any port, each worker beginning with another."""
    by = by % len(sources) if sources else 0
    return [(source, 0, 0) for source in sources[by:] + sources[:by]]


def _common(load: ClientLoad, parts: int) -> dict[str, Any]:
    return {
        "workload": load.workload,
        "ramp_per_s": (load.ramp_per_s or 0.0) / parts,
        "duration_ns": 0 if load.until_told else int(load.duration_s * NS_PER_S),
        "timeout_ns": int(load.timeout_s * NS_PER_S),
        "drain_ns": int((load.timeout_s or 3.0) * NS_PER_S),
        **load.exchange.config(),
        "depth": load.depth,
        "reset": load.reset,
        "server_closes_first": load.server_closes_first,
        "gaps_ns": [max(1, int(gap_s * NS_PER_S)) for gap_s in load.gaps_s],
        "most_lost": load.most_lost,
        "no_delay": load.workload in ("rr", "flood", "rate", "rest") or load.exchange.size > 500,
        "poisson": load.arrivals == "poisson",
    }
