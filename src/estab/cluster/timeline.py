"""The timelines of all hosts, and of the server's end, as one: sums of where each stood last at a moment. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from estab.cluster import merge
from estab.records import ServerSample, TimelinePoint

STEP_S = 0.1
MOST_POINTS = 2_000


@dataclass(frozen=True)
class Track:
    """A host's points, and by how much later than agreed it began, in seconds."""

    points: Sequence[TimelinePoint]
    late_s: float = 0.0

    def at(self, moment: float) -> TimelinePoint | None:
        """Where it stood last."""
        place = bisect_right(self.points, moment - self.late_s, key=lambda point: point.t_s)
        return self.points[place - 1] if place else None


def joined(tracks: Sequence[Track], samples: Sequence[tuple[float, ServerSample]] = ()) -> list[TimelinePoint]:
    """One point each 0.1 s (of a long run: less often) since the agreed start; `samples` with seconds since then."""
    ends = [track.points[-1].t_s + track.late_s for track in tracks if track.points]
    if not ends:
        return []
    steps = int(max(ends) / STEP_S + 1.000001)
    stride = -(-steps // MOST_POINTS)
    moments = [*(number * STEP_S for number in range(stride, steps, stride)), max(ends)]
    times = [at for at, _ in samples]
    points = []
    for moment in moments:
        known = [point for track in tracks if (point := track.at(moment)) is not None]
        place = bisect_right(times, moment)
        if known:
            point = _sum(moment, known)
            points.append(point.with_server(samples[place - 1][1]) if place else point)
    return [one for one, later in pairwise(points) if one.t_s < later.t_s] + points[-1:]


def _sum(moment: float, known: Sequence[TimelinePoint]) -> TimelinePoint:
    return TimelinePoint(
        t_s=round(moment, 4),
        attempted=sum(point.attempted for point in known),
        connected=sum(point.connected for point in known),
        first_byte=sum(point.first_byte for point in known),
        completed=sum(point.completed for point in known),
        failed=sum(point.failed for point in known),
        open=sum(point.open for point in known),
        requests=sum(point.requests for point in known),
        time_wait=merge.added(point.time_wait for point in known),
        client_fds=max((point.client_fds for point in known if point.client_fds is not None), default=None),
        failures=merge.counts(point.failures for point in known),
    )


def summed(points: Sequence[TimelinePoint]) -> TimelinePoint | None:
    """Where all stand together now, as their latest words say; None where nobody has said anything."""
    return _sum(max(point.t_s for point in points), points) if points else None
