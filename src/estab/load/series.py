"""Latency over time: what the histograms of the blocks gained since they were last looked at."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from estab._engine import gained
from estab.load.block import CONNECT_NS_AT, HDR_LENGTH, REQUEST_NS_AT, Block, hdr_value
from estab.records import Spread

LOOK_EVERY_S = 0.25
NS_PER_US = 1_000.0


class _Gained:
    """What one histogram of one block gained."""

    def __init__(self, block: Block, at: int) -> None:
        self._block, self._at = block, at
        self._known = bytearray(HDR_LENGTH * 8)

    def take(self) -> Counter[int]:
        with self._block.histogram_view(self._at) as now:
            return Counter(dict(gained(now, self._known)))


class LatencySeries:
    """Connect and request latency of all `blocks`, four times a second: some 30 µs a look and worker."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looked_at = clock()
        self._counted: dict[str, int] = {}
        self._kinds: dict[str, list[_Gained]] = {}

    def look(self, blocks: Sequence[Block], *, last: bool = False) -> dict[str, Spread]:
        """`connect_us` and `request_us` since the last look, each only where something ended; {} when not yet due."""
        now = self._clock()
        over_s = now - self._looked_at
        if over_s < LOOK_EVERY_S and not last:
            return {}
        self._looked_at = now
        spreads = {
            "connect_us": self._spread("connect", CONNECT_NS_AT, blocks, over_s),
            "request_us": self._spread("request", REQUEST_NS_AT, blocks, over_s),
        }
        return {name: spread for name, spread in spreads.items() if spread is not None}

    def _spread(self, kind: str, at: int, blocks: Sequence[Block], over_s: float) -> Spread | None:
        count = sum(block.get(f"{kind}_count") for block in blocks)
        if count == self._counted.get(kind, 0):
            return None
        self._counted[kind] = count
        histograms = self._kinds.setdefault(kind, [_Gained(block, at) for block in blocks])
        return spread((histogram.take() for histogram in histograms), over_s)


def spread(counts: Iterable[Counter[int]], over_s: float) -> Spread | None:
    """The spread of counts by bucket index; None where there are none. Each value is its bucket's lowest."""
    total: Counter[int] = Counter()
    for each in counts:
        total.update(each)
    order = sorted(total)
    up_to = list(accumulate(total[index] for index in order))
    if not up_to or not up_to[-1]:
        return None
    count = up_to[-1]

    def at(share: float) -> float:
        return round(hdr_value(order[bisect_left(up_to, share * count)]) / NS_PER_US, 3)

    return Spread(over_s=round(over_s, 4), count=count, p50=at(0.5), p90=at(0.9), p99=at(0.99), max=at(1.0))
