"""What a look is judged against: the looks of one window, of which only so many are kept however often somebody asks.

Pure: the time is passed in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from estab.records import Snapshot

# Whoever scrapes four times a second with a window of an hour must not fill the memory with 14,400 snapshots.
_STEPS = 60


@dataclass(frozen=True)
class _Past:
    """A look, and the greatest depth of each listener (by inode) between the look before and this one."""

    at_s: float
    snapshot: Snapshot
    peaks: Mapping[int, int]


class History:
    """Looks at one namespace, at most some 120 of them.

    A look is judged against the newest one that is at least `window_s` old (by a sixtieth of it more, where there are
    many), else the oldest there is. So an overflow shows for at least so long whoever scrapes, nothing falls between
    two scrapes, and no past one shows for ever.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._past: deque[_Past] = deque()

    def __len__(self) -> int:
        return len(self._past)

    def add(self, at_s: float, taken: Snapshot, peaks: Mapping[int, int]) -> Snapshot | None:
        """One more look, at `at_s` of a clock that only goes forward. Returns what it is judged against, or None."""
        past = self._past
        while len(past) > 1 and at_s - past[1].at_s >= self._window_s:
            past.popleft()
        base = past[0].snapshot if past else None
        if len(past) > 2 and at_s - past[-2].at_s < self._window_s / _STEPS:
            # This look takes the place of the last one, and keeps what that one had seen.
            before = past.pop().peaks
            peaks = {inode: max(before.get(inode, 0), peaks.get(inode, 0)) for inode in before.keys() | peaks.keys()}
        past.append(_Past(at_s, taken, peaks))
        return base

    def worst(self, inode: int) -> int:
        """The greatest depth of a listener since what the last look was judged against; 0 where none was sampled."""
        # The first look kept is the base: its peaks were before it.
        since = list(self._past)[1:] or list(self._past)
        return max((look.peaks.get(inode, 0) for look in since), default=0)
