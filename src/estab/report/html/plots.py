"""Which plots a run gives, in the order of the page. Each is drawn, or says plainly what was not recorded."""

from __future__ import annotations

from collections.abc import Iterator

from estab.kernel.rules import accept_queue
from estab.records import RunResult
from estab.report.html import labels, over_time, percentiles, rungs, syns
from estab.report.html.charts import distribution, ladders
from estab.report.html.charts import over_time as charts
from estab.report.html.charts.style import HEIGHT, STATE_COLOURS
from estab.report.html.plot import Plot, nothing
from estab.report.html.subject import PageSubject
from estab.report.html.table import PlotTable, table
from estab.report.words import clean, count, seconds
from estab.words import plural

NO_TIMELINE = "The record holds no timeline."


def plots(subject: PageSubject) -> Iterator[Plot]:
    """All plots of a run."""
    run = subject.run
    if run is None:
        return
    end_s = max([run.elapsed_s, *(point.t_s for point in run.timeline)], default=0.0) or 1.0
    yield _funnel(run)
    yield from _states(run, end_s)
    yield from _queue(run, end_s)
    yield _failures(run, end_s)
    yield _syns(subject, run)
    yield _percentiles(run)
    yield _latency(run, end_s)
    yield from _throughput(run, end_s)
    yield _rungs(subject, run)


def _funnel(run: RunResult) -> Plot:
    funnel = run.funnel
    stages: list[tuple[str, int | None, str]] = [
        ("attempted", funnel.attempted, ""),
        ("connected", funnel.connected, ""),
        ("accepted", funnel.accepted, "not observed"),
        ("first byte", funnel.first_byte if run.requests is not None else None, "not measured"),
        ("completed", funnel.completed, ""),
    ]
    most = funnel.attempted
    rows = [(name, n, round(n / most, 6) if n is not None and most > 0 else None, why) for name, n, why in stages]
    caption = "How far connections came. Accepted is the server's word; completed ended as planned."
    return Plot(
        "funnel", "Funnel", caption, [table("funnel", ("stage", "count", "share", "why"), rows)], distribution.funnel()
    )


# Over time ---------------------------------------------------------------------------------------------------------


def _states(run: RunResult, end_s: float) -> Iterator[Plot]:
    title = "Connections by state"
    states = over_time.states(run.timeline)
    if not len(states):
        yield _connections(run, end_s, title)
        return
    top = max(_stacked(states, "client"), _stacked(states, "server"), 1.0)
    caption = "Sockets by state, as ss names them, both ends on one scale."
    worst = _peak(states, "ghosts")
    if worst:
        caption += f" Ghosts, up to {count(worst)}: ESTAB at the client, and the server does not have them."
    for end in ("client", "server"):
        here = [state for state in over_time.STATES if f"{end} {state}" in states.columns]
        values = states.columns[f"{end} ESTAB"]
        heading = f"{title}, at the {end}"
        if all(value is None for value in values):
            yield nothing(f"states_{end}", heading, _unseen(run, end))
            continue
        if end == "client" and worst:
            here.insert(1, "ghosts")
        legend = [(STATE_COLOURS[state], _legend(states, end, state)) for state in here]
        chart = charts.states(end, here, end_s, top)
        yield Plot(f"states_{end}", heading, caption if end == "client" else "", [states], chart, legend=legend)


def _connections(run: RunResult, end_s: float, title: str) -> Plot:
    """Without states: what the engine itself counted."""
    if not run.timeline:
        return nothing("connections", title, NO_TIMELINE)
    counts = over_time.connections(run.timeline)
    names = [name for name in ("open", "connected", "accepted", "failed") if _peak(counts, name)]
    if not names:
        return nothing("connections", title, "No connection came about.")
    ends = [(name, float(_last(counts, name)), f"{name} {count(_last(counts, name))}") for name in names]
    top = max(_peak(counts, name) for name in names)
    label = labels.beside("connections_labels", ends, t_s=end_s, top=top, height=HEIGHT)
    caption = "States were not recorded; these are the engine's own counts."
    return Plot("connections", title, caption, [counts, label], charts.connections(names, end_s))


def _queue(run: RunResult, end_s: float) -> Iterator[Plot]:
    queue = over_time.queue(run.timeline)
    if not any(value is not None for value in queue.columns["queue_depth"]):
        yield nothing("queue", "Depth and limit", NO_TIMELINE if not run.timeline else _unseen(run, "server"))
    elif not _peak(queue, "queue_depth"):
        looks = sum(value is not None for value in queue.columns["queue_depth"])
        yield nothing("queue", "Depth and limit", f"Nobody waited in the queue, at any of {plural(looks, 'look')}.")
    else:
        depth, limit = _peak(queue, "queue_depth"), _last(queue, "queue_limit")
        room = accept_queue.room(round(limit))
        top = max(depth, float(room))
        ends = [("depth", float(_last(queue, "queue_depth")), f"worst {count(depth)}")]
        ends.append(("limit", float(room), plural(room, "place")))
        label = labels.beside("queue_labels", ends, t_s=end_s, top=top, height=150)
        caption = f"Ten samples a second. The limit of {count(limit)} lets {count(room)} wait: one more than backlog."
        yield Plot("queue", "Depth and limit", caption, [queue, label], charts.queue(end_s, top))
    names = [
        name
        for name in ("listen_overflows", "listen_drops", "listener_drops")
        if any(value is not None for value in queue.columns[name])
    ]
    if not names:
        why = NO_TIMELINE if not run.timeline else _unseen(run, "server")
        yield nothing("counters", "Overflow counters", why)
        return
    if not any(_peak(queue, name) for name in names):
        yield nothing("counters", "Overflow counters", "None rose.")
        return
    words = {"listen_overflows": "ListenOverflows", "listen_drops": "ListenDrops", "listener_drops": "drops here"}
    top = max([1.0, *(_peak(queue, name) for name in names)])
    ends = [(name, float(_last(queue, name)), f"{words[name]} {count(_last(queue, name))}") for name in names]
    label = labels.beside("counters_labels", ends, t_s=end_s, top=top, height=110)
    caption = "They count packets, not clients. ListenOverflows and ListenDrops are of the whole namespace."
    yield Plot("counters", "Overflow counters", caption, [queue, label], charts.counters(names, end_s, top))


def _failures(run: RunResult, end_s: float) -> Plot:
    title = "Over time, by phase and errno"
    total = sum(failure.count for failure in run.failures)
    if not total and not any(point.failed for point in run.timeline):
        return nothing("failures", title, "Nothing failed.")
    totals = over_time.failures(run)
    if not len(totals):
        totals = over_time.failed(run.timeline)
    if not len(totals):
        return nothing("failures", title, f"{NO_TIMELINE} The totals below has the totals.")
    last = {str(row["failure"]): float(row["count"] or 0) for row in totals.rows()}
    kinds = list(last)
    top = max([1.0, *(float(value or 0) for value in totals.columns["count"])])
    ranks = table(
        "failures_ranks", ("failure", "rank"), [(kind, str(i)) for i, kind in enumerate(kinds)], drawn_only=True
    )
    ends = [(str(i), last[kind], f"{kind} {count(last[kind])}") for i, kind in enumerate(kinds)]
    label = labels.beside("failures_labels", ends, t_s=end_s, top=top, height=170)
    caption = "Totals since the start. Lower case: what no errno tells, such as our own timeout."
    return Plot("failures", title, caption, [totals, ranks, label], charts.failures(len(kinds), end_s, top))


def _throughput(run: RunResult, end_s: float) -> Iterator[Plot]:
    connects = run.command == "churn"
    if len(run.timeline) < 2 or not (connects or run.timeline[-1].requests):
        return
    rates = over_time.throughput(run.timeline, connects=connects)
    field, title = ("connected_per_s", "Connects a second") if connects else ("requests_per_s", "Requests a second")
    chart = charts.throughput(field, "connects/s" if connects else "requests/s", end_s)
    yield Plot("throughput", title, "Between two samples of the timeline.", [rates], chart)


def _latency(run: RunResult, end_s: float) -> Plot:
    title = "Latency over time"
    latencies = over_time.latency(run.timeline)
    kinds = sorted({str(kind) for kind in latencies.columns["kind"]})
    drawn = [row for row in latencies.rows() if float(row["p50_us"] or 0) > 0]
    if not drawn:
        why = "Latency over time was not recorded." if run.latency.connect_us else "Nothing was answered."
        return nothing("latency", title, why)
    last = {str(row["kind"]): float(row["p50_us"] or 0) for row in drawn}
    low, high = min(float(row["p50_us"] or 0) for row in drawn), max(float(row["max_us"] or 0) for row in drawn)
    ends = [(kind, value, f"{kind} p50") for kind, value in last.items()]
    label = labels.beside("latency_labels", ends, t_s=end_s, top=high, height=HEIGHT, log_from=low)
    caption = "Of what ended since the look before: p50 as a line, up to p99 shaded, the longest as dots."
    return Plot("latency", title, caption, [latencies, label], charts.latency(kinds, end_s))


# What came of all --------------------------------------------------------------------------------------------------


def _percentiles(run: RunResult) -> Plot:
    title = "Latency by percentile"
    points = percentiles.percentiles(run.latency)
    drawn = [row for row in points.rows() if float(row["latency_us"] or 0) > 0]
    if not drawn:
        return nothing("percentiles", title, "Nothing was answered, so there is no latency.")
    kinds = list(dict.fromkeys(str(row["kind"]) for row in drawn))
    most = max(float(row["one_in"] or 1) for row in drawn)
    ends = [(kind, max(float(r["latency_us"] or 0) for r in drawn if r["kind"] == kind)) for kind in kinds]
    low, high = min(float(row["latency_us"] or 0) for row in drawn), max(value for _, value in ends)
    named = [(kind, value, f"{kind}, max {seconds(value / 1e6, 'µs')}") for kind, value in ends]
    label = labels.beside("percentiles_labels", named, t_s=max(most, 10), top=high, height=220, log_from=low)
    caption = "Each step to the right is the slowest tenth of what was left. Both axes are logarithmic."
    return Plot("percentiles", title, caption, [points, label], distribution.percentiles(kinds, most))


def _syns(subject: PageSubject, run: RunResult) -> Plot:
    title = "Measured beside the rule"
    ladder = syns.ladder(run, subject.syns)
    if not syns.is_worth_showing(ladder):
        return nothing("syns", title, "No SYN of this run is recorded.")
    times = [float(value or 0) for name in ("rule_to_s",) for value in ladder.rungs.columns[name]]
    times += [float(value or 0) for value in ladder.measured.columns["answered_after_s"]]
    times += [float(value or 0) for value in ladder.captured.columns["after_s"]]
    longest = max(times)
    shown_end = ladder.gives_up_s if ladder.gives_up_s is not None and ladder.gives_up_s <= longest * 4 else None
    end = table("syn_end", ("at_s", "why"), [(shown_end, ladder.why)] if shown_end else [], drawn_only=True)
    caption = "Grey: when the kernel's rule sends each SYN. Blue: when connects were answered, larger for more."
    caption += " Red ticks: SYNs in the capture." if len(ladder.captured) else ""
    caption += f" Dashed: {ladder.why}." if shown_end and ladder.why else ""
    chart = ladders.syns(len(ladder.rungs), max(longest, shown_end or 0) * 1.04, captured=len(ladder.captured) > 0)
    tables = [ladder.rungs, ladder.measured, *([ladder.captured] if len(ladder.captured) else []), end]
    return Plot("syns", title, caption, tables, chart)


def _rungs(subject: PageSubject, run: RunResult) -> Plot:
    title = "Ladder of limits"
    if subject.limits is None:
        return nothing("rungs", title, "The record holds no snapshot from before the run.")
    ladder, stood = rungs.ladder(subject.limits, run)
    if not len(ladder):
        return nothing("rungs", title, "No limit could be read.")
    asked, reached = rungs.asked_and_reached(run)
    caption = f"How many connections each limit allowed when the run began. Dashed: {count(reached)} reached"
    caption += f", in red the {count(asked)} asked for." if asked != reached else ", as many as were asked for."
    return Plot("rungs", title, caption, [ladder, stood], ladders.rungs(len(ladder)))


# Reading tables ----------------------------------------------------------------------------------------------------


def _peak(table: PlotTable, name: str) -> float:
    return max((float(value) for value in table.columns.get(name, ()) if isinstance(value, int | float)), default=0.0)


def _last(table: PlotTable, name: str) -> float:
    values = [float(value) for value in table.columns.get(name, ()) if isinstance(value, int | float)]
    return values[-1] if values else 0.0


def _stacked(table: PlotTable, end: str) -> float:
    columns = [values for name, values in table.columns.items() if name.startswith(f"{end} ")]
    rows = zip(*columns, strict=True)
    return max((sum(value for value in row if isinstance(value, int | float)) for row in rows), default=0.0)


def _legend(table: PlotTable, end: str, state: str) -> str:
    name = "ghosts" if state == "ghosts" else f"{end} {state}"
    return f"{state} {count(_peak(table, name))}"


def _unseen(run: RunResult, end: str) -> str:
    if end == "client":
        return "Not recorded."
    if run.server.observed:
        return "Not recorded."
    return f"Not observed: {clean(run.server.why or 'the server is not on this host')}."
