"""The runs' HDR histograms merged exactly, and percentiles of the whole with how sure sampling lets one be."""

from __future__ import annotations

from collections.abc import Iterable

from hdrh.histogram import HdrHistogram

from estab.compare.bootstrap import percentile_ranks
from estab.compare.figures import QUANTILES, distribution
from estab.errors import ParseError, ReadError
from estab.kernel.formats import hdr
from estab.records import RunResult
from estab.records.comparison import Pooled

NS_PER_US = 1_000.0


def merged(runs: Iterable[RunResult], latency: str) -> HdrHistogram | None:
    """The histogram (ns) of all runs together; None where one that has values has no histogram, or none has values.

    Raises ReadError where one can't be decoded.
    """
    total = hdr.empty()
    for run in runs:
        percentiles = distribution(run, latency)
        if percentiles is None:
            continue
        if percentiles.hdr_ns is None:
            return None
        try:
            total.add(hdr.decode(percentiles.hdr_ns))
        except ParseError as error:
            raise ReadError(f"the {latency} histogram of a {run.command} run is damaged: {error}") from error
    return total if total.get_total_count() else None


def pooled(histogram: HdrHistogram, quantile: float) -> Pooled:
    """The quantile of all values, with the 95% interval of its order statistics."""
    count = int(histogram.get_total_count())
    ranks = percentile_ranks(count, quantile)
    percentiles = (100.0 * quantile, *(100.0 * rank / count for rank in ranks or ()))
    value, *bounds = (round(value / NS_PER_US, 3) for value in hdr.values_at(histogram, percentiles))
    low, high = bounds or (None, None)
    return Pooled(value=value, low=low, high=high, count=count)


def all_pooled(runs: list[RunResult], latency: str) -> dict[str, Pooled]:
    """By figure's name (`request.p99`), each percentile of all runs together; empty where there is no histogram."""
    histogram = merged(runs, latency)
    if histogram is None:
        return {}
    return {f"{latency}.{name}": pooled(histogram, quantile) for name, quantile in QUANTILES.items()}
