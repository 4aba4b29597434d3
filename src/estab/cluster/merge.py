"""Sums over hosts: counts, failures, schedules, and histograms, which are merged exactly. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from hdrh.histogram import HdrHistogram

from estab.errors import ParseError, ReadError
from estab.kernel.formats import hdr
from estab.records import ErrorOrder, Funnel, Latency, OpenLoop, Percentiles, Requests, Visitors
from estab.records.failure import by_kind

NS_PER_US = 1_000.0


def added(values: Iterable[int | None]) -> int | None:
    """Their sum; None where one is not known, or there is none."""
    found = list(values)
    known = [one for one in found if one is not None]
    return sum(known) if known and len(known) == len(found) else None


def counts(every: Iterable[dict[str, int] | None]) -> dict[str, int] | None:
    """By name, the sum over those that have it; None where nobody has any."""
    known = [one for one in every if one is not None]
    if not known:
        return None
    total: Counter[str] = Counter()
    for one in known:
        total.update(one)
    return dict(total)


def funnel(every: Sequence[Funnel], accepted: int | None) -> Funnel:
    """All hosts' funnels as one; `accepted` is the server's word."""
    return Funnel(
        attempted=sum(one.attempted for one in every),
        connected=sum(one.connected for one in every),
        accepted=accepted,
        first_byte=sum(one.first_byte for one in every),
        completed=sum(one.completed for one in every),
    )


def requests(every: Iterable[Requests | None]) -> Requests | None:
    """All answered, a second over the longest time that a host took; None where no host asked any."""
    known = [one for one in every if one is not None]
    if not known:
        return None
    count = sum(one.count for one in known)
    seconds = max((one.seconds for one in known if one.seconds), default=None)
    return Requests(
        count=count,
        per_second=count / seconds if seconds else None,
        bytes=sum(one.bytes for one in known),
        seconds=seconds,
    )


def open_loop(every: Iterable[OpenLoop | None]) -> OpenLoop | None:
    """All schedules together; None for a closed loop."""
    known = [one for one in every if one is not None]
    if not known:
        return None
    return OpenLoop(
        rate_per_s=sum(one.rate_per_s for one in known),
        arrivals=known[0].arrivals,
        scheduled=sum(one.scheduled for one in known),
        late=sum(one.late for one in known),
        worst_late_ms=max(one.worst_late_ms for one in known),
        waited=sum(one.waited for one in known),
        unsent=sum(one.unsent for one in known),
    )


def percentiles(every: Iterable[Percentiles | None]) -> Percentiles | None:
    """The distribution of all values: histograms are decoded and added, which loses nothing.

    None where there is no value, or a host has values and no histogram. Raises ReadError for a damaged one.
    """
    known = [one for one in every if one is not None and one.count]
    encoded = [one.hdr_ns for one in known if one.hdr_ns is not None]
    if not known or len(encoded) < len(known):
        return None
    total = hdr.empty()
    for text in encoded:
        try:
            total.add(hdr.decode(text))
        except ParseError as error:
            raise ReadError(f"the latency histogram of a host is damaged: {error}") from error
    most = max((one.max for one in known if one.max is not None), default=None)
    means = [(one.mean, one.count) for one in known if one.mean is not None]
    return Percentiles(
        count=sum(one.count for one in known),
        mean=round(sum(mean * count for mean, count in means) / sum(c for _, c in means), 3) if means else None,
        p50=_at(total, 50, most),
        p90=_at(total, 90, most),
        p99=_at(total, 99, most),
        p999=_at(total, 99.9, most),
        max=most,
        hdr_ns=total.encode().decode("ascii"),
    )


def _at(histogram: HdrHistogram, percentile: float, most_us: float | None) -> float:
    value = float(histogram.get_value_at_percentile(percentile)) / NS_PER_US
    return round(value if most_us is None else min(value, most_us), 3)


def latency(every: Sequence[Latency]) -> Latency:
    """Connects' and requests' latencies, merged exactly."""
    return Latency(
        connect_us=percentiles(one.connect_us for one in every),
        request_us=percentiles(one.request_us for one in every),
    )


def visitors(every: Iterable[Visitors | None]) -> Visitors | None:
    """Those who came and went beside the held connections of all hosts; None where nobody was to."""
    known = [one for one in every if one is not None]
    if not known:
        return None
    return Visitors(
        funnel=funnel([one.funnel for one in known], None),
        failures=by_kind(failure for one in known for failure in one.failures),
        open_loop=open_loop(one.open_loop for one in known),
        latency=latency([one.latency for one in known]),
    )


def error_orders(every: Iterable[ErrorOrder]) -> list[ErrorOrder]:
    """What one more write and read gave after the first error, most frequent first."""
    total: Counter[tuple[str, ...]] = Counter()
    for one in every:
        total[tuple(one.order)] += one.count
    return [ErrorOrder(order=list(order), count=count) for order, count in total.most_common()]
