"""Sums over hosts: counts, failures, schedules, and histograms, which are merged exactly. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from estab.errors import ParseError, ReadError
from estab.kernel.formats import hdr
from estab.records import (
    ArrivalOrder,
    ConnectAfter,
    ErrorOrder,
    Funnel,
    Latency,
    OpenLoop,
    Percentiles,
    Requests,
    Stalls,
    Visitors,
)
from estab.records.failure import by_kind

NS_PER_US = 1_000.0


def added(values: Iterable[int | None]) -> int | None:
    """Their sum; None where one is not known, or there is none."""
    every = list(values)
    known = [value for value in every if value is not None]
    return sum(known) if known and len(known) == len(every) else None


def counts(every: Iterable[dict[str, int] | None]) -> dict[str, int] | None:
    """By name, the sum over those that have it; None where nobody has any."""
    known = [counted for counted in every if counted is not None]
    if not known:
        return None
    total: Counter[str] = Counter()
    for counted in known:
        total.update(counted)
    return dict(total)


def funnel(every: Sequence[Funnel], accepted: int | None) -> Funnel:
    """All hosts' funnels as one; `accepted` is the server's word."""
    return Funnel(
        attempted=sum(host.attempted for host in every),
        connected=sum(host.connected for host in every),
        accepted=accepted,
        first_byte=sum(host.first_byte for host in every),
        completed=sum(host.completed for host in every),
    )


def requests(every: Iterable[Requests | None]) -> Requests | None:
    """All answered, a second over the longest time that a host took; None where no host asked any."""
    known = [host for host in every if host is not None]
    if not known:
        return None
    count = sum(host.count for host in known)
    seconds = max((host.seconds for host in known if host.seconds), default=None)
    return Requests(
        count=count,
        per_second=count / seconds if seconds else None,
        bytes=sum(host.bytes for host in known),
        seconds=seconds,
        http_status=counts(host.http_status for host in known),
        renewed=None if any(host.renewed is None for host in known) else sum(host.renewed or 0 for host in known),
    )


def open_loop(every: Iterable[OpenLoop | None]) -> OpenLoop | None:
    """All schedules together; None for a closed loop."""
    known = [host for host in every if host is not None]
    if not known:
        return None
    return OpenLoop(
        rate_per_s=sum(host.rate_per_s for host in known),
        arrivals=known[0].arrivals,
        scheduled=sum(host.scheduled for host in known),
        late=sum(host.late for host in known),
        worst_late_ms=max(host.worst_late_ms for host in known),
        waited=sum(host.waited for host in known),
        unsent=sum(host.unsent for host in known),
    )


def percentiles(every: Iterable[Percentiles | None]) -> Percentiles | None:
    """The distribution of all values: histograms are decoded and added, which loses nothing.

    None where there is no value, or a host has values and no histogram. Raises ReadError for a damaged one.
    """
    known = [host for host in every if host is not None and host.count]
    encoded = [host.hdr_ns for host in known if host.hdr_ns is not None]
    if not known or len(encoded) < len(known):
        return None
    total = hdr.empty()
    for text in encoded:
        try:
            total.add(hdr.decode(text))
        except ParseError as error:
            raise ReadError(f"the latency histogram of a host is damaged: {error}") from error
    values = [value / NS_PER_US for value in hdr.values_at(total, (50, 90, 99, 99.9))]
    most = max((host.max for host in known if host.max is not None), default=None)
    p50, p90, p99, p999 = (round(value if most is None else min(value, most), 3) for value in values)
    means = [(host.mean, host.count) for host in known if host.mean is not None]
    return Percentiles(
        count=sum(host.count for host in known),
        mean=round(sum(mean * count for mean, count in means) / sum(c for _, c in means), 3) if means else None,
        p50=p50,
        p90=p90,
        p99=p99,
        p999=p999,
        max=most,
        hdr_ns=total.encode().decode("ascii"),
    )


def latency(every: Sequence[Latency]) -> Latency:
    """Connects' and requests' latencies, merged exactly."""
    return Latency(
        connect_us=percentiles(host.connect_us for host in every),
        request_us=percentiles(host.request_us for host in every),
    )


def visitors(every: Iterable[Visitors | None]) -> Visitors | None:
    """Those who came and went beside the held connections of all hosts; None where nobody was to."""
    known = [host for host in every if host is not None]
    if not known:
        return None
    return Visitors(
        funnel=funnel([host.funnel for host in known], None),
        failures=by_kind(failure for host in known for failure in host.failures),
        open_loop=open_loop(host.open_loop for host in known),
        latency=latency([host.latency for host in known]),
    )


def error_orders(every: Iterable[ErrorOrder]) -> list[ErrorOrder]:
    """What one more write and read gave after the first error, most frequent first."""
    total: Counter[tuple[str, ...]] = Counter()
    for order in every:
        total[tuple(order.order)] += order.count
    return [ErrorOrder(order=list(order), count=count) for order, count in total.most_common()]


def arrival_order(every: Iterable[ArrivalOrder | None]) -> ArrivalOrder | None:
    """Of all hosts; None where no host has pairs to tell by."""
    known = [host for host in every if host is not None]
    if not known:
        return None
    return ArrivalOrder(
        stayed=sum(host.stayed for host in known),
        failed=sum(host.failed for host in known),
        pairs=sum(host.pairs for host in known),
        in_order=sum(host.in_order for host in known),
    )


def stalls(every: Iterable[Stalls | None]) -> Stalls | None:
    """Those of all hosts, which began at one moment; None where no host has any."""
    known = [host for host in every if host is not None]
    if not known:
        return None
    return Stalls(
        count=sum(host.count for host in known),
        unacknowledged=sum(host.unacknowledged for host in known),
        heard_s=max(host.heard_s for host in known),
        sample=[stall for host in known for stall in host.sample],
    )


def connect_after(every: Iterable[ConnectAfter | None]) -> ConnectAfter | None:
    """One that was answered, where any host's was: the target is there. None: no host asked."""
    known = [host for host in every if host is not None]
    return min(known, key=lambda after: after.errno is not None, default=None)
