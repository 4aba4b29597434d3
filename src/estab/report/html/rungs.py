"""The ladder of limits as a table, and where a run stood on it. Pure."""

from __future__ import annotations

from estab.records import Limits, RunResult
from estab.report.html.table import PlotTable, table
from estab.report.words import clean

_COLUMNS = ("limit", "side", "allows_more", "value", "used", "unit", "met", "raise_with")


def ladder(limits: Limits, run: RunResult) -> tuple[PlotTable, PlotTable]:
    """The known rungs, smallest first, and (asked, reached) connections. `met`: no more than were asked for fitted."""
    asked, reached = asked_and_reached(run)
    rows = [
        (
            clean(limit.limit),
            limit.side,
            limit.capacity_connections,
            limit.value,
            limit.used,
            clean(limit.unit),
            limit.capacity_connections < asked,
            clean(limit.raise_with or ""),
        )
        for limit in limits.limits
        if limit.capacity_connections is not None
    ]
    stood = table("stood", ("what", "connections"), [("asked", asked), ("reached", reached)], drawn_only=True)
    return table("rungs", _COLUMNS, rows), stood


def asked_and_reached(run: RunResult) -> tuple[int, int]:
    """Connections at one time: asked for, and the most that were open at both ends; a ghost is not."""
    wanted = run.config.get("connections")
    reached = max((point.open for point in run.timeline), default=0)
    if run.command == "hold":
        reached = max(reached, run.funnel.connected)
    if run.ghosts is not None:
        reached = max(0, reached - run.ghosts.count)
    asked = wanted if isinstance(wanted, int) and not isinstance(wanted, bool) else run.funnel.attempted
    return max(asked, 0), reached
