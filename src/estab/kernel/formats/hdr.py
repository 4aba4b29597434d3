"""HDR histograms in their standard text encoding (V2, compressed, base64), as a record's `hdr_ns` holds them.

Source: github.com/HdrHistogram/HdrHistogram, `V2CompressedDEFLATEEncoding`. Values are nanoseconds, 1 to one hour, with
three significant digits.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from hdrh.histogram import HdrHistogram
from hdrh.iterators import HdrIterationValue, PercentileIterator

from estab.errors import ParseError

HIGHEST_NS = 3_600_000_000_000


def empty() -> HdrHistogram:
    """A histogram without values, of the one shape that all have."""
    return HdrHistogram(1, HIGHEST_NS, 3)


def of(counts: Mapping[int, int]) -> HdrHistogram:
    """A histogram with these counts by the index of their bucket: as if each value were recorded, but at once."""
    histogram = empty()
    for index, count in counts.items():
        histogram.counts[index] = count
    if counts:
        histogram.set_internal_tacking_values(min(counts), max(counts), sum(counts.values()))
    return histogram


def values_at(
    histogram: HdrHistogram, percentiles: Iterable[float], counts: Mapping[int, int] | None = None
) -> list[int]:
    """The value (ns) at each percentile, 0 to 100, as its own `get_value_at_percentile` has it, but in one pass.

    0 where there are no values. `counts`: those that it was made `of`, where they are at hand.
    """
    counts = _counts(histogram) if counts is None else counts
    order = sorted(counts)
    reached = list(accumulate(counts[index] for index in order))
    values = []
    for percentile in percentiles:
        place = bisect_left(reached, histogram.get_target_count_at_percentile(percentile))
        lowest = histogram.get_value_from_index(order[place]) if place < len(order) else 0
        values.append(histogram.get_highest_equivalent_value(lowest) if percentile and place < len(order) else lowest)
    return values


def percentile_steps(histogram: HdrHistogram, per_halving: int) -> Iterator[HdrIterationValue]:
    """Its own `get_percentile_iterator`, which looks at each of 40,000 buckets; this one at those that hold values."""
    return _RecordedPercentiles(histogram, per_halving)


class _RecordedPercentiles(PercentileIterator):  # type: ignore[misc]
    def __init__(self, histogram: HdrHistogram, per_halving: int) -> None:
        super().__init__(histogram, per_halving)
        self._recorded = iter([index for index in _counts(histogram) if index])

    def increment_sub_bucket(self) -> None:
        self.fresh_sub_bucket = True
        self.current_index = next(self._recorded)
        self.value_at_index = self.histogram.get_value_from_index(self.current_index)


def _counts(histogram: HdrHistogram) -> dict[int, int]:
    return filled(memoryview(histogram.counts).cast("B").cast("Q"))  # ctypes gives them one by one


_PIECE = 512
_EMPTY = bytes(_PIECE * 8)


def filled(words: memoryview) -> dict[int, int]:
    """The buckets (native u64) that hold values, by their index. Most are empty, and skipped many at a time."""
    found = {}
    for first in range(0, len(words), _PIECE):
        piece = words[first : first + _PIECE]
        if not _EMPTY.startswith(piece.tobytes()):
            found.update({index: count for index, count in enumerate(piece.tolist(), first) if count})
    return found


def decode(text: str) -> HdrHistogram:
    """The histogram, of the shape of `empty()`. Raises ParseError for damaged text."""
    histogram = empty()
    try:
        histogram.add(HdrHistogram.decode(text))
    except Exception as error:  # hdrh raises what it likes on damaged text, of no common base
        raise ParseError(f"not an HDR histogram: {type(error).__name__}: {error}") from error
    return histogram
