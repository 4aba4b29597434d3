"""A recorded latency histogram as the points of an HDR plot: latency over 1/(1-p). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hdrh.histogram import HdrHistogram

from estab.errors import ParseError
from estab.kernel.formats import hdr
from estab.records import Latency, Percentiles
from estab.report.html.table import Cell, PlotTable, table

_PER_HALVING = 5  # points each time that 1-p halves
_COLUMNS = ("kind", "percentile", "one_in", "latency_us", "count_up_to")


def percentiles(latency: Latency) -> PlotTable:
    """Both distributions. `one_in` is 1/(1-p): 100 at p99, so that one in 100 takes longer; at most the count."""
    rows = [*_of("connect", latency.connect_us), *_of("request", latency.request_us)]
    return table("percentiles", _COLUMNS, rows)


def histogram(recorded: Percentiles | None) -> HdrHistogram | None:
    """The recorded histogram (ns); None where there is none, or it is damaged."""
    if recorded is None or not recorded.hdr_ns:
        return None
    try:
        decoded = hdr.decode(recorded.hdr_ns)
    except ParseError:
        return None
    return decoded if decoded.get_total_count() > 0 else None


def _of(kind: str, recorded: Percentiles | None) -> Iterator[tuple[Cell, ...]]:
    if recorded is None or recorded.count <= 0:
        return
    decoded = histogram(recorded)
    if decoded is None:
        yield from _named(kind, recorded)
        return
    most = decoded.get_total_count()
    for item in hdr.percentile_steps(decoded, _PER_HALVING):
        share = min(item.percentile_level_iterated_to, 100.0) / 100
        one_in = min(1 / (1 - share), most) if share < 1 else most
        latency_us = item.value_iterated_to / 1000
        if recorded.max is not None:
            latency_us = min(latency_us, recorded.max)
        yield kind, round(share * 100, 6), round(one_in, 3), round(latency_us, 3), item.total_count_to_this_value


def _named(kind: str, recorded: Percentiles) -> Iterator[tuple[Cell, ...]]:
    """The percentiles that stand in the record, where the histogram does not."""
    named = (
        (50.0, 2.0, recorded.p50),
        (90.0, 10.0, recorded.p90),
        (99.0, 100.0, recorded.p99),
        (99.9, 1000.0, recorded.p999),
    )
    for percent, one_in, value in (*named, (100.0, float(recorded.count), recorded.max)):
        if value is not None and one_in <= recorded.count:
            yield kind, percent, one_in, value, None
