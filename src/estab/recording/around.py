"""Which moments are kept closely: those around the beginning and the end of an episode. Pure: times are passed in."""

from __future__ import annotations

AROUND_S = 60.0
CALM_S = 10.0  # a cause that shows again sooner goes on: as the judge of recordings has it
LOOKED_BACK_S = AROUND_S + CALM_S  # so long a moment may have to wait for it to be known whether it is kept


class Around:
    """Follows the verdicts of one network namespace, and says from when to when to keep.

    A long episode is kept at both ends alone: what it costs is bounded.
    """

    def __init__(self) -> None:
        self._last_s: float | None = None  # when the cause was shown last; None: there is none now

    def judged(self, from_s: float, to_s: float, *, cause: bool) -> tuple[float, float] | None:
        """What one more interval decides: keep all from, to (Unix time), or nothing new."""
        last_s = self._last_s
        if cause:
            self._last_s = to_s
            begins = last_s is None or from_s - last_s > CALM_S
            return (from_s - AROUND_S, from_s + AROUND_S) if begins else None
        if last_s is not None and to_s - last_s > CALM_S:
            self._last_s = None
            return last_s - AROUND_S, last_s + AROUND_S
        return None
