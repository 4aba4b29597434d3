"""Local ports for outgoing connections: how many there are towards one target, and how the kernel searches them.

Rules 20 and 21 of docs/kernel.md. A port counts once per (source address, destination address, destination port).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from estab.kernel.rules.inputs import RuleInputError, at_least, within
from estab.kernel.rules.interval import Interval

PORT_MAX = 65535


@dataclass(frozen=True, kw_only=True, slots=True)
class PortCapacity:
    """How many connections at once a range gives from one source address to one target.

    `ports`: the usable ones. `connections`: how many connect() gets before the first EADDRNOTAVAIL, an interval because
    a range with an odd number of ports loses one of them on each search.
    """

    ports: int
    connections: Interval


def capacity(
    low: int,
    high: int,
    reserved: Collection[int] = (),
    bound: Collection[int] = (),
    *,
    per_socket: bool = False,
) -> PortCapacity:
    """The ports that connect() can pick from `low` to `high`, both included (1 to 65535).

    `reserved`: `net.ipv4.ip_local_reserved_ports`. `bound`: ports owned by a plain bind(), lost for every target;
    with IP_BIND_ADDRESS_NO_PORT (4.2) a bound source address owns none. Those outside the range do not matter, and
    TIME_WAIT is judged by `time_wait`. `per_socket`: the range comes from IP_LOCAL_PORT_RANGE (6.3; searched without
    parity since 6.8).

    The kernel rounds the number of ports that it searches down to an even one, starting anywhere: of an odd range
    greater than one, every search misses one port (of three, always the last). `connections` says so.

    Raises RuleInputError for ports out of range or `low` above `high`.
    Source: `net/ipv4/inet_hashtables.c __inet_hash_connect` (docs/kernel.md rules 20 and 21, refined by measurement).
    """
    within("high", high, 1, PORT_MAX)
    within("low", low, 1, high)
    taken = {port for port in (*reserved, *bound) if low <= port <= high}
    size = high - low + 1
    free = size - len(taken)
    missed = 0 if per_socket or size == 1 else size % 2
    sure, best = max(0, free - missed), free
    if missed and size == 3:  # two ports searched, so the start can only be the low end
        sure = best = sum(1 for port in (low, low + 1) if port not in taken)
    return PortCapacity(
        ports=free,
        connections=Interval(low=sure, high=best),
    )


def connections(per_target: PortCapacity, source_addresses: int = 1, targets: int = 1) -> Interval:
    """How many connections several source addresses (1 or more) to several targets (address and port) can hold.

    Raises RuleInputError below 1. Source: the 4-tuple, `__inet_check_established` (docs/kernel.md rule 21).
    """
    at_least("source_addresses", source_addresses, 1)
    at_least("targets", targets, 1)
    each, times = per_target.connections, source_addresses * targets
    return Interval(low=each.low * times, high=None if each.high is None else each.high * times)


def parse_port_ranges(text: str) -> frozenset[int]:
    """The ports of `net.ipv4.ip_local_reserved_ports`: "8080,9148-9150" or "" for none.

    Raises RuleInputError, with the value, for anything else. Source: `kernel/sysctl.c proc_do_large_bitmap`.
    """
    ports: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise RuleInputError(f"reserved ports {text!r}: {part!r} is no port and no range like 9148-9150")
        within("reserved port", int(last or first), int(first), PORT_MAX)
        ports.update(range(int(first), int(last or first) + 1))
    return frozenset(ports)
