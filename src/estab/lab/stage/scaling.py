"""A setup scaled: the connections and every bound alike, times left as they are. Pure."""

from __future__ import annotations

from dataclasses import replace

from estab.errors import UsageError
from estab.kernel.rules import accept_queue
from estab.lab.stage.setup import Closes, Path, Setup, Sysctls
from estab.load.plan import OWN_DESCRIPTORS

COUNTS = ("net.core.somaxconn", "net.ipv4.tcp_max_syn_backlog", "net.ipv4.tcp_max_tw_buckets")
PORT_RANGE = "net.ipv4.ip_local_port_range"


def scaled(setup: Setup, factor: float) -> Setup:
    """Connections, arrivals, accepts, backlog, descriptors and ports times `factor`. Raises UsageError."""
    if not 0 < factor <= 100:
        raise UsageError(f"`scale` is {factor:g}, out of range (above 0, at most 100)")
    if factor == 1:
        return setup
    load = setup.load
    return replace(
        setup,
        load=replace(
            load,
            connections=max(len(load.gaps_s), times(load.connections, factor)),
            in_flight=times(load.in_flight, factor),
            attempts=times(load.attempts, factor) if load.attempts else 0,
            ramp_per_s=None if load.ramp_per_s is None else load.ramp_per_s * factor,
            rate_per_s=None if load.rate_per_s is None else load.rate_per_s * factor,
        ),
        client=_sysctls(setup.client, factor),
        server=_sysctls(setup.server, factor),
        path=_path(setup.path, factor),
        bound=times(setup.bound, factor) if setup.bound else 0,
        backlog=queue(setup.backlog, factor),
        closes=_closes(setup.closes, factor),
        tasks=None if setup.tasks is None else 1 + times(max(1, setup.tasks - 1), factor),
        accept_delay_s=min(3600.0, setup.accept_delay_s / factor),
        client_nofile=descriptors(setup.client_nofile, factor),
        server_nofile=descriptors(setup.server_nofile, factor),
    )


def _path(path: Path, factor: float) -> Path:
    """How many are lost, let through, or come together; shares stay."""
    return replace(
        path,
        lost=tuple(times(count, factor) if count else 0 for count in path.lost),
        flows=None if path.flows is None else times(path.flows, factor),
        gather=times(path.gather, factor) if path.gather else 0,
        syns_per_s=None if path.syns_per_s is None else path.syns_per_s * factor,
        syn_burst=times(path.syn_burst, factor),
        nat_ports=None if path.nat_ports is None else times(path.nat_ports, factor),
    )


def _closes(closes: tuple[Closes, float] | None, factor: float) -> tuple[Closes, float] | None:
    """A number of connections; a time stays."""
    return (closes[0], times(int(closes[1]), factor)) if closes is not None and closes[0] == "over" else closes


def times(count: int, factor: float) -> int:
    """A count scaled, 1 at least."""
    return max(1, round(count * factor))


def queue(backlog: int, factor: float) -> int:
    """A backlog scaled: it is B+1 that fit (`include/net/sock.h sk_acceptq_is_full`)."""
    return max(0, round(accept_queue.room(backlog) * factor) - 1)


def descriptors(limit: int | None, factor: float) -> int | None:
    """A limit on descriptors scaled, but for those that a process needs itself."""
    return None if limit is None else OWN_DESCRIPTORS + times(max(1, limit - OWN_DESCRIPTORS), factor)


def port_range(text: str, factor: float) -> str:
    """A range of ports scaled, from its first one on."""
    low, high = (int(word) for word in text.split())
    return f"{low} {min(65535, low + times(high - low + 1, factor) - 1)}"


def sysctl(name: str, value: int | str, factor: float) -> int | str:
    """A sysctl scaled, where it bounds a number of connections; any other as it is."""
    if factor == 1:
        return value
    if name == "net.core.somaxconn":
        return max(1, queue(int(value), factor))
    if name in COUNTS:
        return times(int(value), factor)
    return port_range(str(value), factor) if name == PORT_RANGE else value


def _sysctls(sysctls: Sysctls, factor: float) -> Sysctls:
    return tuple((name, sysctl(name, value, factor)) for name, value in sysctls)
