"""How many short connections a second there can be: ports against TIME_WAIT, and the connection tracking table."""

from __future__ import annotations

from collections.abc import Iterator

from estab.diagnose.rungs import client, host
from estab.diagnose.rungs.view import BothEnds, number
from estab.errors import EstabError
from estab.kernel.rules import conntrack, kernel_version, time_wait, timer_wheel
from estab.kernel.rules.interval import Interval
from estab.records import RateLimit
from estab.words import plural

SHORT, TRACKED = "short_connections", "short_connections_conntrack"
_REUSE = "sysctl -w net.ipv4.tcp_tw_reuse=1 at the client"


def rates(view: BothEnds) -> Iterator[RateLimit]:
    """The rates, lowest first where it is known. Nothing that is counted bounds those over a UNIX socket."""
    if view.is_unix:
        return
    limits = [_by_ports(view), *_by_conntrack(view)]
    yield from sorted(limits, key=lambda rate: (rate.per_second is None, rate.per_second or 0.0))


def _by_ports(view: BothEnds) -> RateLimit:
    """Rule 23: one source address to one target, the client closing first, the engine keeping up."""
    blank = RateLimit(
        limit=SHORT,
        side="client",
        source="net.ipv4.ip_local_port_range, tcp_tw_reuse, tcp_tw_reuse_delay, tcp_max_tw_buckets",
        raise_with="keep connections (a pool), more source addresses, or let the server close first",
    )
    try:
        ports, kernel = client.ports(view), kernel_version.of(view.client.host)
        wait = _wait(view, kernel)
    except EstabError as error:
        return blank.replace(note=str(error))
    if ports is None:
        return blank.replace(note="the port range was not read")
    buckets = number(view.client, "net.ipv4.tcp_max_tw_buckets")
    if buckets is not None and buckets < ports.total:
        words = f"over tcp_max_tw_buckets ({buckets:,}) TIME_WAIT is skipped: the ports are never used up by it"
        return blank.replace(note=words)
    rate = time_wait.short_connections_per_second(ports.total, wait)
    reuse = client.reuses(view)
    return blank.replace(
        per_second=round(rate.low, 1),
        raise_with=blank.raise_with if reuse else f"{_REUSE}; {blank.raise_with}",
        note=f"{plural(ports.total, 'port')} of one source address, each again after {_words(wait)}"
        + (" (tcp_tw_reuse)" if reuse else " (TIME_WAIT; tcp_fin_timeout changes nothing)")
        + "; where the client closes first",
    )


def _wait(view: BothEnds, kernel: kernel_version.KernelVersion) -> Interval:
    if client.reuses(view):
        return time_wait.reuse_after_s(kernel, number(view.client, "net.ipv4.tcp_tw_reuse_delay"))
    return time_wait.lasts(timer_wheel.hz_of(view.client.host), kernel)


def _words(wait: Interval) -> str:
    return f"{wait} s"


def _by_conntrack(view: BothEnds) -> Iterator[RateLimit]:
    """Rule 26: a closed connection stays in the table for two minutes. Only where something is tracked at all."""
    count, maximum = host.conntrack_now(view.client)
    if not count or not maximum:
        return
    yield RateLimit(
        limit=TRACKED,
        side="client",
        per_second=round(conntrack.short_connections_per_second(maximum), 1),
        source="net.netfilter.nf_conntrack_max",
        raise_with=f"sysctl -w {host.CONNTRACK_MAX}=N, or a shorter nf_conntrack_tcp_timeout_time_wait",
        note=f"each closed connection stays {conntrack.TIME_WAIT_TIMEOUT_S} s in the table (the default)",
    )
