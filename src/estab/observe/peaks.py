"""What every listener's queue did between two looks, from cheap samples. Pure: samples in, totals out.

Where a scrape comes every 15 seconds, a queue may fill and empty ten times between two: the samples see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from estab.kernel.rules.accept_queue import drops_since, is_full
from estab.records import Listener

Place = tuple[str, int]
# A sample stands for the time since the one before. Where sampling stood still, it does not stand for all of that.
_LONGEST_S = 1.0


@dataclass
class PlaceTotals:
    """Of all sockets that listened at one address and port. They only rise while something listens there.

    `drops` starts with what the kernel had counted when the socket was first seen, None where it does not tell.
    `full_s` is for how many seconds the samples found one of them full (B+1 waiting); `waited`: whether anything ever
    waited at one of them.
    """

    drops: int | None = None
    full_s: float = 0.0
    waited: bool = False


class Peaks:
    """Follows every listener of one namespace by its inode."""

    def __init__(self) -> None:
        self.totals: dict[Place, PlaceTotals] = {}
        self._drops: dict[int, int | None] = {}
        self._peaks: dict[int, int] = {}
        self._last_s: float | None = None

    def add(self, at_s: float, listeners: Sequence[Listener]) -> None:
        """One sample of all that listen, taken at `at_s` of a clock that only goes forward."""
        span = 0.0 if self._last_s is None else min(_LONGEST_S, max(0.0, at_s - self._last_s))
        self._last_s = at_s
        full: set[Place] = set()
        places: set[Place] = set()
        for listener in listeners:
            place, inode = (listener.address, listener.port), listener.inode or 0
            places.add(place)
            totals = self.totals.setdefault(place, PlaceTotals())
            totals.waited |= listener.depth > 0
            self._count_drops(totals, listener)
            self._peaks[inode] = max(self._peaks.get(inode, 0), listener.depth)
            if is_full(listener.depth, listener.limit):
                full.add(place)
        for place in full:
            self.totals[place].full_s += span
        self._forget(places, {listener.inode or 0 for listener in listeners})

    def turn(self) -> dict[int, int]:
        """The greatest depth of each listener since the last turn, by inode; then it begins anew."""
        peaks, self._peaks = self._peaks, {}
        return peaks

    def _count_drops(self, totals: PlaceTotals, listener: Listener) -> None:
        if listener.drops is None:
            return
        inode = listener.inode or 0
        dropped = drops_since(self._drops.get(inode) or 0, listener.drops)
        # A socket that was given the inode of one that closed began to count at 0.
        totals.drops = (totals.drops or 0) + (listener.drops if dropped is None else dropped)
        self._drops[inode] = listener.drops

    def _forget(self, places: set[Place], inodes: set[int]) -> None:
        """Nothing is kept of what listens no more: what is remembered is bounded by what is there."""
        for place in self.totals.keys() - places:
            del self.totals[place]
        for inode in self._drops.keys() - inodes:
            del self._drops[inode]
        for inode in self._peaks.keys() - inodes:
            del self._peaks[inode]
