"""A run's timeline as it grows: a long one keeps every second point, then every fourth, so that it stays readable."""

from __future__ import annotations

from estab.records import TimelinePoint

MOST_POINTS = 2_000
_RARE = ("failures", "client_states", "server_states", "server_held", "owners", "connect_us", "request_us")


class Points:
    """The points of a run, thinned as it goes on; what only some points have is not lost by that."""

    def __init__(self) -> None:
        self._kept: list[TimelinePoint] = []
        self._every, self._seen = 1, 0
        self._left_out: TimelinePoint | None = None  # the newest, where it is one to leave out: the end is kept

    def add(self, point: TimelinePoint) -> None:
        """One more, the newest."""
        if self._left_out is not None:
            self._kept[-1] = _keep_rare(self._kept[-1], self._left_out)
            self._left_out = None
        if self._seen % self._every == 0 or not self._kept:
            self._kept.append(point)
        else:
            self._left_out = point
        self._seen += 1
        if len(self._kept) > MOST_POINTS:
            odd = [*self._kept[1::2], *self._kept[-1:]]
            self._kept = [_keep_rare(kept, left_out) for kept, left_out in zip(self._kept[::2], odd, strict=False)]
            self._every *= 2

    def timeline(self) -> list[TimelinePoint]:
        """The points that were kept, and the last of all: what the run came to."""
        return self._kept if self._left_out is None else [*self._kept, self._left_out]


def _keep_rare(kept: TimelinePoint, left_out: TimelinePoint) -> TimelinePoint:
    """`kept` with what only some points have, where it lacks it, of the point that is left out."""
    missing = {name: getattr(left_out, name) for name in _RARE if getattr(kept, name) is None}
    return kept.replace(**missing)
