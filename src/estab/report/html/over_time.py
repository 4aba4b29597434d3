"""A run's timeline as tables: connections, states at both ends, the accept queue, failures, throughput, latency. Pure.

What lives here: choosing and naming columns. A value that was not recorded stays None; nothing is made up between.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from estab.records import RunResult, Spread, TimelinePoint
from estab.report.html.table import Cell, PlotTable, table
from estab.report.words import clean

STATES = (
    "ESTAB",
    "SYN-SENT",
    "SYN-RECV",
    "CLOSE-WAIT",
    "LAST-ACK",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSING",
    "TIME-WAIT",
    "other",
)
_UNLISTED = ("LISTEN", "CLOSE", "UNCONN", "BOUND-INACTIVE")
MOST_KINDS = 8


def states(points: Sequence[TimelinePoint]) -> PlotTable:
    """States at both ends, of the points that have them. `ghosts`: client ESTAB less server ESTAB in one point."""
    seen = [point for point in points if point.client_states is not None or point.server_states is not None]
    columns: dict[str, list[Cell]] = {"t_s": [point.t_s for point in seen]}
    for end in ("client", "server"):
        counted = [_listed(getattr(point, f"{end}_states")) for point in seen]
        for state in STATES:
            if state == "ESTAB" or any(counts and counts.get(state) for counts in counted):
                columns[f"{end} {state}"] = [None if counts is None else counts.get(state, 0) for counts in counted]
    columns["ghosts"] = [ghosts_of(point) for point in seen]
    return PlotTable("states", columns)


def ghosts_of(point: TimelinePoint) -> int | None:
    """Connections ESTABLISHED at the client and not at the server in this point. None where an end was not seen."""
    if point.client_states is None or point.server_states is None:
        return None
    return max(0, point.client_states.get("ESTAB", 0) - point.server_states.get("ESTAB", 0))


def _listed(counts: dict[str, int] | None) -> dict[str, int] | None:
    if counts is None:
        return None
    known = {state: count for state, count in counts.items() if state in STATES}
    other = sum(count for state, count in counts.items() if state not in STATES and state not in _UNLISTED)
    return known | ({"other": known.get("other", 0) + other} if other else {})


def connections(points: Sequence[TimelinePoint]) -> PlotTable:
    """The engine's own counts: totals since the start, and how many are open now."""
    names = ("t_s", "attempted", "connected", "accepted", "open", "completed", "failed")
    return PlotTable("connections", {name: [getattr(point, name) for point in points] for name in names})


def queue(points: Sequence[TimelinePoint]) -> PlotTable:
    """The accept queue and the counters that rise when it overflows, deltas since the start."""
    seen = [point for point in points if point.queue_depth is not None or point.listen_overflows is not None]
    names = ("t_s", "queue_depth", "queue_limit", "listen_overflows", "listen_drops", "listener_drops")
    return PlotTable("queue", {name: [getattr(point, name) for point in seen] for name in names})


def failures(run: RunResult) -> PlotTable:
    """Failures by phase and errno, totals since the start. The rarest of many kinds are put together as "others".

    A kind is 0 until it is first counted. Its count stands until the next look.
    """
    last: dict[str, int] = {str(failure.kind): failure.count for failure in run.failures}
    for point in run.timeline:
        for kind, count in (point.failures or {}).items():
            last.setdefault(kind, count)
    ranked = sorted(last, key=lambda kind: -last[kind])
    own, rest = ranked[:MOST_KINDS], ranked[MOST_KINDS:]
    rows: list[tuple[Cell, ...]] = []
    for point in run.timeline:
        if point.failures is None and point.failed:
            continue  # something had failed by then, and by what was not recorded
        now = point.failures or {}
        rows += [(point.t_s, clean(kind), now.get(kind, 0)) for kind in own]
        rows += [(point.t_s, "others", sum(now.get(kind, 0) for kind in rest))] if rest else []
    if rows and not any(point.failures for point in run.timeline):
        rows = []
    return table("failures", ("t_s", "failure", "count"), rows)


def failed(points: Sequence[TimelinePoint]) -> PlotTable:
    """All failures together, where they were not recorded by kind."""
    return table("failures", ("t_s", "failure", "count"), ((p.t_s, "all kinds together", p.failed) for p in points))


def throughput(points: Sequence[TimelinePoint], *, connects: bool) -> PlotTable:
    """Requests (or, for churn, connects) answered a second between two points, `total` since the start."""
    name = "connected" if connects else "requests"
    rows = []
    for before, after in pairwise(points):
        gained, took = getattr(after, name) - getattr(before, name), after.t_s - before.t_s
        rows.append((after.t_s, getattr(after, name), round(gained / took, 3) if took > 0 else None))
    return table("throughput", ("t_s", f"{name}_total", f"{name}_per_s"), rows)


def latency(points: Sequence[TimelinePoint]) -> PlotTable:
    """Connect and request latency between two looks, in microseconds.

    Where nothing ended for longer than a look covers stands a row without values, so that no line is drawn over it.
    """
    rows: list[tuple[Cell, ...]] = []
    last_s: dict[str, float] = {}
    for point in points:
        for kind, spread in (("connect", point.connect_us), ("request", point.request_us)):
            if spread is None:
                continue
            began_s = point.t_s - spread.over_s
            if began_s - last_s.get(kind, began_s) > spread.over_s / 2:
                rows.append((began_s, kind, None, None, None, None, None, None))
            rows.append(_spread(point.t_s, kind, spread))
            last_s[kind] = point.t_s
    return table("latency", ("t_s", "kind", "over_s", "count", "p50_us", "p90_us", "p99_us", "max_us"), rows)


def _spread(t_s: float, kind: str, spread: Spread) -> tuple[Cell, ...]:
    return t_s, kind, spread.over_s, spread.count, spread.p50, spread.p90, spread.p99, spread.max
