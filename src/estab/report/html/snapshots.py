"""A series of snapshots (`estab observe`, `estab watch --record`) as plots over time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from estab.kernel.rules import accept_queue
from estab.records import Listener, Snapshot
from estab.report.html import labels
from estab.report.html.charts import over_time as charts
from estab.report.html.charts.style import STATE_COLOURS, by_clock, with_bands
from estab.report.html.over_time import STATES
from estab.report.html.plot import Plot, nothing
from estab.report.html.subject import Subject
from estab.report.html.table import Cell, PlotTable, table
from estab.report.words import clean, count
from estab.words import plural

MOST_SNAPSHOTS = 2_000
_COUNTERS = {"listen_overflows": "TcpExt.ListenOverflows", "listen_drops": "TcpExt.ListenDrops"}
_Key = tuple[str, int, int | None]


def plots(subject: Subject) -> Iterator[Plot]:
    """Sockets by state, the fullest listener's queue, and the counters since the first snapshot."""
    if subject.run is not None or not subject.snapshots:
        return
    series = _series(subject.snapshots)
    if len(series) < 2:
        yield nothing("queue", "Over time", "One snapshot is one moment: two or more give a plot.")
        return
    times = [snapshot.taken_at_s - series[0].taken_at_s for snapshot in series]
    plots_of_it = [_states(series, times), *_queue(series, times)]
    bands = _incidents(next((table for plot in plots_of_it for table in plot.tables if table.name == "queue"), None))
    yield from (_over_the_day(plot, series[0].taken_at_s, times[-1], bands) for plot in plots_of_it)


def _over_the_day(plot: Plot, started_at_s: float, end_s: float, bands: PlotTable) -> Plot:
    """With clock times below it, and with the incidents shaded."""
    if plot.chart is None:
        return plot
    chart, caption, tables = dict(plot.chart), f"{plot.caption} Clock times are UTC.", [*plot.tables]
    if len(bands):
        chart, tables = with_bands(chart, bands.name, end_s), [*tables, bands]
        caption += " Shaded: packets were turned away."
    return replace(plot, chart=by_clock(chart, started_at_s), caption=caption, tables=tables)


def _incidents(queue: PlotTable | None) -> PlotTable:
    """The spans of time in which drops or overflows were counted, those that touch as one."""
    spans: list[tuple[float, float]] = []
    for before, after in pairwise(queue.rows() if queue is not None else ()):
        if any(_rose(before[name], after[name]) for name in (*_COUNTERS, "listener_drops")):
            start, end = float(before["t_s"] or 0), float(after["t_s"] or 0)
            spans = [*spans[:-1], (spans[-1][0], end)] if spans and spans[-1][1] == start else [*spans, (start, end)]
    return table("incidents", ("from_s", "to_s"), spans)


def _rose(before: Cell, after: Cell) -> bool:
    return isinstance(before, int) and isinstance(after, int) and after > before


def _series(snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    ordered = sorted(snapshots, key=lambda snapshot: snapshot.taken_at_s)
    step = max(1, -(-len(ordered) // MOST_SNAPSHOTS))
    return ordered if step == 1 else [*ordered[:-1:step], ordered[-1]]


def _states(series: Sequence[Snapshot], times: Sequence[float]) -> Plot:
    counted = [snapshot.states for snapshot in series]
    if not any(counted):
        return nothing("states_host", "Sockets by state", "Not recorded.")
    shown = [state for state in STATES if state == "ESTAB" or any(counts and counts.get(state) for counts in counted)]
    columns: dict[str, list[Cell]] = {"t_s": list(times)}
    for state in shown:
        columns[f"host {state}"] = [None if counts is None else counts.get(state, 0) for counts in counted]
    top = max(1.0, *(sum(float((counts or {}).get(state, 0)) for state in shown) for counts in counted))
    legend = [(STATE_COLOURS[s], f"{s} {count(max((counts or {}).get(s, 0) for counts in counted))}") for s in shown]
    chart = charts.states("host", shown, times[-1], top)
    return Plot(
        "states_host",
        "Sockets by state",
        "All of the network namespace.",
        [PlotTable("states", columns)],
        chart,
        legend=legend,
    )


def _key(listener: Listener) -> _Key:
    return listener.address, listener.port, listener.inode


def _fullest(series: Sequence[Snapshot]) -> _Key | None:
    """The listener that was nearest to its limit at any moment, or dropped most."""
    worst: dict[_Key, tuple[float, int]] = {}
    for snapshot in series:
        for listener in snapshot.listeners or ():
            full = (
                max(listener.depth, listener.worst_depth or 0) / accept_queue.room(listener.limit),
                listener.drops or 0,
            )
            worst[_key(listener)] = max(worst.get(_key(listener), (0.0, 0)), full)
    return max(worst, key=lambda key: worst[key], default=None)


def _queue(series: Sequence[Snapshot], times: Sequence[float]) -> Iterator[Plot]:
    key = _fullest(series)
    mine = [next((x for x in snapshot.listeners or () if _key(x) == key), None) for snapshot in series]
    columns: dict[str, list[Cell]] = {"t_s": list(times)}
    columns["queue_depth"] = [listener.depth if listener else None for listener in mine]
    columns["queue_limit"] = [listener.limit if listener else None for listener in mine]
    for name, counter in _COUNTERS.items():
        columns[name] = _since([(snapshot.counters or {}).get(counter) for snapshot in series])
    columns["listener_drops"] = _since([listener.drops if listener else None for listener in mine])
    depths = PlotTable("queue", columns)
    if key is None:
        yield nothing("queue", "Accept queue", "No listener was seen.")
    else:
        yield _depth(depths, key, times[-1])
    names = [name for name in (*_COUNTERS, "listener_drops") if any(v is not None for v in columns[name])]
    if names:
        yield _rises(depths, names, times[-1])


def _since(values: Sequence[int | None]) -> list[Cell]:
    first = next((value for value in values if value is not None), None)
    return [None if value is None or first is None else max(0, value - first) for value in values]


def _depth(queue: PlotTable, key: _Key, end_s: float) -> Plot:
    depths = [int(value) for value in queue.columns["queue_depth"] if value is not None]
    limits = [int(value) for value in queue.columns["queue_limit"] if value is not None]
    room = accept_queue.room(limits[-1])
    top = float(max(*depths, room))
    ends = [("depth", float(depths[-1]), f"worst {count(max(depths))}")]
    ends.append(("limit", float(room), plural(room, "place")))
    label = labels.beside("queue_labels", ends, t_s=end_s, top=top, height=150)
    title = clean(f"Accept queue of {key[0]}:{key[1]}, the fullest")
    return Plot("queue", title, "At the moments of the snapshots.", [queue, label], charts.queue(end_s, top))


def _rises(queue: PlotTable, names: list[str], end_s: float) -> Plot:
    words = {"listen_overflows": "ListenOverflows", "listen_drops": "ListenDrops", "listener_drops": "drops here"}
    last = {name: float([v for v in queue.columns[name] if v is not None][-1]) for name in names}
    top = max([1.0, *(float(v) for name in names for v in queue.columns[name] if v is not None)])
    ends = [(name, value, f"{words[name]} {count(value)}") for name, value in last.items()]
    label = labels.beside("counters_labels", ends, t_s=end_s, top=top, height=110)
    caption = "Since the first snapshot. They count packets, not clients."
    return Plot("counters", "Overflow counters", caption, [queue, label], charts.counters(names, end_s, top))
