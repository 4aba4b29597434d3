"""A series of snapshots (`estab record`, `estab observe`, `estab watch --record`) as plots over time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from estab.kernel.rules import accept_queue
from estab.records import Episodes, Listener, Snapshot
from estab.report.html import episodes, labels
from estab.report.html.charts import over_time as charts
from estab.report.html.charts.style import STATE_COLOURS, by_clock, with_bands, with_marks
from estab.report.html.over_time import STATES
from estab.report.html.plot import Plot, nothing
from estab.report.html.subject import MOST_CLOSE, PageSubject
from estab.report.html.table import Cell, PlotTable, table
from estab.report.html.thinned import fewer
from estab.report.recorded import causes
from estab.report.words import clean, count
from estab.words import clock, plural

CLOSE = tuple(f"close{number}" for number in range(1, MOST_CLOSE + 1))  # the plots of the close looks
_MOST_CLOSE = 1_200  # points of each
QUEUES = ("queue", "queue2", "queue3")  # the plots of so many listeners
_COUNTERS = {"listen_overflows": "TcpExt.ListenOverflows", "listen_drops": "TcpExt.ListenDrops"}
_OPENS = {"in": "Tcp.PassiveOpens", "out": "Tcp.ActiveOpens"}
_GAP = 5  # times as long between two looks as nine of ten took, and nothing was recorded there
_GAP_S = 5.0
_Place = tuple[str, int]


@dataclass(frozen=True)
class _Shades:
    """What stands behind every plot: spans of time with their colours, and marks. `says`: what they are."""

    bands: Sequence[tuple[PlotTable, Sequence[str]]]
    marks: PlotTable
    says: str


def plots(subject: PageSubject) -> Iterator[Plot]:
    """Episodes, the queues of the listeners in trouble, the counters since the first snapshot, connections, states."""
    if subject.run is not None or not subject.snapshots:
        return
    series = sorted(subject.snapshots, key=lambda snapshot: snapshot.taken_at_s)
    if len(series) < 2:
        yield nothing("queue", "Over time", "One snapshot is one moment: two or more give a plot.")
        return
    recording = subject.episodes
    start_s = series[0].taken_at_s if recording is None else min(recording.from_s, series[0].taken_at_s)
    times = [snapshot.taken_at_s - start_s for snapshot in series]
    told = recording if recording is not None and recording.episodes else None
    below = [*_queues(series, times, _in_trouble(told)), *_opens(series, times), *_states(series, times)]
    spans = episodes.bands(told, start_s) if told is not None else None
    shades = _shades(told, spans, below, start_s, times)
    if told is not None and spans is not None:
        first = episodes.plot(told, spans, shades.marks, times[-1])
        yield _by_clock(first, start_s, times[-1])
    yield from (_by_clock(_shaded(plot, shades, times[-1]), start_s, times[-1]) for plot in below)


def close_plots(subject: PageSubject) -> Iterator[Plot]:
    """The fullest queue of each file of close looks, by its own times."""
    for name, looks in zip(CLOSE, subject.close, strict=False):
        series = fewer(looks, -(-len(looks) // _MOST_CLOSE))
        place = _fullest(series)
        if len(series) < 2 or place is None:
            continue
        start_s = series[0].taken_at_s
        times = [taken.taken_at_s - start_s for taken in series]
        drawn = _depth(_of_queue(name, place, series, times, _counted(series)), place, times[-1], fullest=False)
        titled = replace(
            drawn, title=f"{drawn.title}, closely", caption=f"{clock(start_s, day=True)}: ten looks a second."
        )
        yield _by_clock(titled, start_s, times[-1])


# Behind all plots --------------------------------------------------------------------------------------------------


def _shades(
    told: Episodes | None, spans: PlotTable | None, plots_of_it: Sequence[Plot], start_s: float, times: Sequence[float]
) -> _Shades:
    gaps = _gaps(times)
    bands: list[tuple[PlotTable, Sequence[str]]] = [(gaps, ("grey",))] if len(gaps) else []
    says = " Grey: nothing was recorded." if len(gaps) else ""
    if told is not None and spans is not None:
        order = causes(told)
        return _Shades(
            [*bands, (spans, episodes.colours(told))],
            episodes.changes(told, start_s),
            f" {episodes.shaded(order)}{says}",
        )
    incidents = _incidents(
        next((table for plot in plots_of_it for table in plot.tables if table.name == "queue"), None)
    )
    if len(incidents):
        bands, says = [*bands, (incidents, ("red",))], f" Shaded: packets were turned away.{says}"
    return _Shades(bands, table("changes", ("at_s", "row", "what", "where"), ()), says)


def _shaded(plot: Plot, shades: _Shades, end_s: float) -> Plot:
    if plot.chart is None:
        return plot
    chart, tables = dict(plot.chart), [*plot.tables]
    for spans, colours in shades.bands:
        chart, tables = with_bands(chart, spans.name, end_s, colours), [*tables, replace(spans, drawn_only=True)]
    if len(shades.marks):
        chart = with_marks(chart, shades.marks.name, end_s)
        tables.append(replace(shades.marks, drawn_only=True))
    return replace(plot, chart=chart, caption=f"{plot.caption}{shades.says}", tables=tables)


def _by_clock(plot: Plot, start_s: float, end_s: float) -> Plot:
    """With clock times below it and beside the pointer."""
    if plot.chart is None:
        return plot
    tables = [_with_clock(each, start_s) for each in plot.tables]
    chart = by_clock(dict(plot.chart), start_s, end_s)
    return replace(plot, chart=chart, caption=f"{plot.caption} Clock times are UTC.", tables=tables)


def _with_clock(rows: PlotTable, start_s: float) -> PlotTable:
    """A table of moments with their clock times."""
    if "t_s" not in rows.columns or "series" in rows.columns:
        return rows
    told = [clock(start_s + float(at_s or 0), day=True) for at_s in rows.columns["t_s"]]
    return replace(rows, columns={**rows.columns, "utc": told})


def _gaps(times: Sequence[float]) -> PlotTable:
    """The spans of time in which nothing was recorded."""
    steps = sorted(after - before for before, after in pairwise(times))
    longest = max(_GAP * steps[len(steps) * 9 // 10], _GAP_S)  # looks may have come more often for a part of the time
    return table("gaps", ("from_s", "to_s"), [pair for pair in pairwise(times) if pair[1] - pair[0] > longest])


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


# The plots ---------------------------------------------------------------------------------------------------------


def _states(series: Sequence[Snapshot], times: Sequence[float]) -> Iterator[Plot]:
    counted = [snapshot.states for snapshot in series]
    if not any(counted):
        yield nothing("states_host", "Sockets by state", "Not recorded.")
        return
    shown = [state for state in STATES if state == "ESTAB" or any(counts and counts.get(state) for counts in counted)]
    columns: dict[str, list[Cell]] = {"t_s": list(times)}
    for state in shown:
        columns[f"host {state}"] = [None if counts is None else counts.get(state, 0) for counts in counted]
    top = max(1.0, *(sum(float((counts or {}).get(state, 0)) for state in shown) for counts in counted))
    legend = [(STATE_COLOURS[s], f"{s} {count(max((counts or {}).get(s, 0) for counts in counted))}") for s in shown]
    chart = charts.states("host", shown, times[-1], top)
    yield Plot(
        "states_host",
        "Sockets by state",
        "All of the network namespace.",
        [PlotTable("states", columns)],
        chart,
        legend=legend,
    )


def _opens(series: Sequence[Snapshot], times: Sequence[float]) -> Iterator[Plot]:
    """Connections a second, in and out; nothing where these were not counted."""
    columns: dict[str, list[Cell]] = {"t_s": list(times)}
    for name, counter in _OPENS.items():
        risen = _risen([(snapshot.counters or {}).get(counter) for snapshot in series])
        columns[name] = [None, *(_a_second(*pair) for pair in pairwise(zip(risen, times, strict=True)))]
    known = {name: [float(v) for v in columns[name] if v is not None] for name in _OPENS}
    names = [name for name, values in known.items() if any(values)]
    if not names:
        return
    top = max(1.0, *(max(known[name]) for name in names))
    ends = [(name, known[name][-1], f"{name}, up to {count(max(known[name]))}/s") for name in names]
    label = labels.beside("opens_labels", ends, t_s=times[-1], top=top, height=charts.OPENS_HEIGHT)
    yield Plot(
        "opens",
        "New connections a second",
        "In: PassiveOpens, those that joined an accept queue. Out: ActiveOpens, those that this host began.",
        [PlotTable("opens", columns), label],
        charts.opens(names, times[-1], top),
    )


def _a_second(before: tuple[Cell, float], after: tuple[Cell, float]) -> Cell:
    (then, from_s), (now, to_s) = before, after
    if then is None or now is None or to_s <= from_s:
        return None
    return round((float(now) - float(then)) / (to_s - from_s), 2)


def _in_trouble(told: Episodes | None) -> list[_Place]:
    """The listeners of the episodes, those of most intervals first."""
    intervals: dict[_Place, int] = {}
    for each in told.episodes if told is not None else ():
        if each.place == "listener" and each.address is not None and each.port is not None:
            place = each.address, each.port
            intervals[place] = intervals.get(place, 0) + each.intervals
    return sorted(intervals, key=lambda place: -intervals[place])


def _place(listener: Listener) -> _Place:
    return listener.address, listener.port


def _fullest(series: Sequence[Snapshot]) -> _Place | None:
    """The listener that was nearest to its limit at any moment, or dropped most."""
    worst: dict[_Place, tuple[float, int]] = {}
    for snapshot in series:
        for listener in snapshot.listeners or ():
            full = (
                max(listener.depth, listener.worst_depth or 0) / accept_queue.room(listener.limit),
                listener.drops or 0,
            )
            worst[_place(listener)] = max(worst.get(_place(listener), (0.0, 0)), full)
    return max(worst, key=lambda place: worst[place], default=None)


def _queues(series: Sequence[Snapshot], times: Sequence[float], troubled: Sequence[_Place]) -> Iterator[Plot]:
    fullest = _fullest(series)
    shown = list(troubled[: len(QUEUES)]) or ([fullest] if fullest is not None else [])
    counted = _counted(series)
    for name, place in zip(QUEUES, shown, strict=False):
        yield _depth(_of_queue(name, place, series, times, counted), place, times[-1], fullest=place == fullest)
    if not shown:
        yield nothing("queue", "Accept queue", "No listener was seen.")
    first = _of_queue("queue", shown[0] if shown else None, series, times, counted)
    names = [name for name in (*_COUNTERS, "listener_drops") if any(v is not None for v in first.columns[name])]
    if names:
        yield _rises(first, names, times[-1])


def _counted(series: Sequence[Snapshot]) -> dict[str, list[Cell]]:
    """What the namespace's counters of overflows rose by."""
    return {
        name: _risen([(snapshot.counters or {}).get(counter) for snapshot in series])
        for name, counter in _COUNTERS.items()
    }


def _of_queue(
    name: str,
    place: _Place | None,
    series: Sequence[Snapshot],
    times: Sequence[float],
    counted: dict[str, list[Cell]],
) -> PlotTable:
    """The fullest socket that listens at `place`, and what all of them dropped, at each moment."""
    mine = [[each for each in taken.listeners or () if _place(each) == place] for taken in series]
    fullest = [max(here, key=lambda each: each.depth, default=None) for here in mine]
    drops = [sum(each.drops or 0 for each in here) if here else None for here in mine]
    columns: dict[str, Sequence[Cell]] = {
        "t_s": list(times),
        "queue_depth": [None if each is None else each.depth for each in fullest],
        "queue_limit": [None if each is None else each.limit for each in fullest],
        **counted,
        "listener_drops": _risen(drops),
    }
    return PlotTable(name, columns)


def _risen(values: Sequence[int | None]) -> list[Cell]:
    """What it rose by since it was first known; where it fell it began anew at 0."""
    risen: list[Cell] = []
    total, before = 0, None
    for value in values:
        if value is not None and before is not None:
            total += value - before if value >= before else value
        before = before if value is None else value
        risen.append(None if value is None else total)
    return risen


def _depth(queue: PlotTable, place: _Place, end_s: float, *, fullest: bool) -> Plot:
    depths = [int(value) for value in queue.columns["queue_depth"] if value is not None]
    limits = [int(value) for value in queue.columns["queue_limit"] if value is not None]
    room = accept_queue.room(limits[-1]) if limits else 1
    top = float(max([*depths, room]))
    ends = [("depth", float(depths[-1]) if depths else 0.0, f"worst {count(max(depths, default=0))}")]
    ends.append(("limit", float(room), plural(room, "place")))
    label = labels.beside(f"{queue.name}_labels", ends, t_s=end_s, top=top, height=150)
    title = clean(f"Accept queue of {place[0]}:{place[1]}{', the fullest' if fullest else ''}")
    chart = charts.queue(end_s, top, queue.name)
    return Plot(queue.name, title, "The deepest of each moment.", [queue, label], chart)


def _rises(queue: PlotTable, names: list[str], end_s: float) -> Plot:
    words = {"listen_overflows": "ListenOverflows", "listen_drops": "ListenDrops", "listener_drops": "drops here"}
    last = {name: float([v for v in queue.columns[name] if v is not None][-1]) for name in names}
    top = max([1.0, *(float(v) for name in names for v in queue.columns[name] if v is not None)])
    ends = [(name, value, f"{words[name]} {count(value)}") for name, value in last.items()]
    label = labels.beside("counters_labels", ends, t_s=end_s, top=top, height=110)
    caption = "Since the first snapshot. They count packets, not clients."
    return Plot("counters", "Overflow counters", caption, [queue, label], charts.counters(names, end_s, top))
