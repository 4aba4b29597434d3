"""What became of a program's connects over time: a timeline for each target, and the counts so far."""

from __future__ import annotations

import time

from estab.api.points import Points
from estab.kernel.rules.connects import Connects
from estab.observe.program_watch import Look, Target
from estab.records import TimelinePoint


class ProgramTrack:
    """The looks at a program, from now on."""

    def __init__(self) -> None:
        self._began_s, self.began_at_s = time.monotonic(), time.time()
        self._ended_s: float | None = None
        self._points: dict[Target | None, Points] = {}
        self.counted: Connects | None = None

    @property
    def began_ns(self) -> int:
        """When it began, of CLOCK_MONOTONIC."""
        return int(self._began_s * 1e9)

    @property
    def elapsed_s(self) -> float:
        """Seconds from its beginning to its end, or until now."""
        return round((self._ended_s or time.monotonic()) - self._began_s, 4)

    def end(self) -> None:
        """The program has ended."""
        self._ended_s = time.monotonic()

    def add(self, look: Look) -> None:
        """One more look."""
        counted = self.counted = look.counted
        point = TimelinePoint(
            t_s=self.elapsed_s,
            attempted=counted.attempted if counted else 0,
            connected=counted.connected if counted else 0,
            first_byte=0,
            completed=0,
            failed=counted.failed if counted else 0,
            open=look.open,
            requests=0,
        )
        for target, sample in look.ends.items():
            seen = point.replace(time_wait=sample.time_wait, client_states=sample.client_states).with_server(sample)
            self._points.setdefault(target, Points()).add(seen)

    def timeline(self, target: Target | None) -> list[TimelinePoint]:
        """That of one target."""
        return self._points[target].timeline() if target in self._points else []
