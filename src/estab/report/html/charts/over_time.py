"""Plots over time: states at both ends, the accept queue and its counters, failures, throughput, latency."""

from __future__ import annotations

from typing import Any

import altair as alt

from estab.report.html.charts.style import (
    SERIES,
    STATE_COLOURS,
    colour,
    data,
    drawn,
    end_labels,
    finished,
    x_time,
    y_count,
    y_latency,
)


@drawn
def states(end: str, shown: list[str], end_s: float, top: float) -> dict[str, Any]:
    """Stacked states of one end. At the client, what only it has (ghosts) is set apart from ESTAB."""
    if end == "client" and "ghosts" in shown:
        values = {"ESTAB": "datum['client ESTAB'] - (datum.ghosts || 0)", "ghosts": "datum.ghosts"}
    else:
        values = {"ESTAB": f"datum['{end} ESTAB']"}
    base: Any = alt.Chart(data("states"))
    for state in shown:
        base = base.transform_calculate(**{state: values.get(state, f"datum['{end} {state}']")})
    order = f"indexof({shown}, datum.state)"
    return finished(
        base.transform_filter(f"isValid(datum['{end} ESTAB'])")
        .transform_fold([*shown], as_=["state", "count"])
        .transform_calculate(order=order)
        .mark_area(interpolate="step-after")
        .encode(
            x=x_time(end_s),
            y=y_count("count", f"connections at the {end}", top=top, stack="zero"),
            color=alt.Color(
                "state:N",
                scale=alt.Scale(domain=shown, range=[colour(STATE_COLOURS[state]) for state in shown]),
                legend=None,
            ),
            order="order:Q",
            tooltip=[alt.Tooltip("t_s:Q", format=".2f"), "state:N", alt.Tooltip("count:Q", format=",")],
        ),
        height=150,
    )


@drawn
def connections(names: list[str], end_s: float) -> dict[str, Any]:
    """The engine's own counts as lines."""
    domain, colours = names, [colour(name) for name in SERIES[: len(names)]]
    lines = (
        alt.Chart(data("connections"))
        .transform_fold([*names], as_=["series", "count"])
        .transform_filter("isValid(datum.count)")
        .mark_line(interpolate="step-after")
        .encode(
            x=x_time(end_s),
            y=y_count("count", "connections"),
            color=alt.Color("series:N", scale=alt.Scale(domain=domain, range=colours), legend=None),
            tooltip=[alt.Tooltip("t_s:Q", format=".2f"), "series:N", alt.Tooltip("count:Q", format=",")],
        )
    )
    return finished(lines + end_labels("connections_labels", y_count("at", "connections"), end_s, domain, colours))


@drawn
def queue(end_s: float, top: float, table: str = "queue") -> dict[str, Any]:
    """The depth of the accept queue that `table` has, and how many fit."""
    y = y_count("queue_depth", "connections waiting for accept()", top=top)
    tooltip = [
        alt.Tooltip("t_s:Q", format=".2f"),
        alt.Tooltip("queue_depth:Q", title="depth", format=","),
        alt.Tooltip("fit:Q", title="fit", format=","),
    ]
    base = alt.Chart(data(table)).transform_filter("isValid(datum.queue_depth)")
    base = base.transform_calculate(fit="isValid(datum.queue_limit) ? datum.queue_limit + 1 : null")
    depth = base.mark_area(interpolate="step-after", color=colour("blue"), opacity=0.25)
    edge = base.mark_line(interpolate="step-after", color=colour("blue"))
    limit = base.mark_line(interpolate="step-after", color=colour("red"), strokeWidth=1.5, strokeDash=[5, 3])
    x = x_time(end_s)
    names = end_labels(
        f"{table}_labels", y_count("at", "", top=top), end_s, ["depth", "limit"], [colour("blue"), colour("red")]
    )
    return finished(
        depth.encode(x=x, y=y, tooltip=tooltip)
        + edge.encode(x=x, y=y, tooltip=tooltip)
        + limit.encode(x=x, y=alt.Y("fit:Q"))
        + names,
        height=150,
    )


@drawn
def counters(names: list[str], end_s: float, top: float) -> dict[str, Any]:
    """The counters that rise with an overflow, since the start."""
    colours = {"listen_overflows": "red", "listen_drops": "orange", "listener_drops": "purple"}
    palette = [colour(colours[name]) for name in names]
    lines = (
        alt.Chart(data("queue"))
        .transform_fold([*names], as_=["series", "count"])
        .transform_filter("isValid(datum.count)")
        .mark_line(interpolate="step-after")
        .encode(
            x=x_time(end_s),
            y=y_count("count", "packets since the start", top=top),
            color=alt.Color("series:N", scale=alt.Scale(domain=names, range=palette), legend=None),
            strokeDash=alt.StrokeDash(
                "series:N", scale=alt.Scale(domain=names, range=[[1, 0], [6, 4], [2, 4]][: len(names)]), legend=None
            ),
            tooltip=[alt.Tooltip("t_s:Q", format=".2f"), "series:N", alt.Tooltip("count:Q", format=",")],
        )
    )
    labels = end_labels("counters_labels", y_count("at", "", top=top), end_s, names, palette)
    return finished(lines + labels, height=110)


OPENS_HEIGHT = 130


@drawn
def opens(names: list[str], end_s: float, top: float) -> dict[str, Any]:
    """New connections a second, in and out."""
    palette = [colour({"in": "blue", "out": "green"}[name]) for name in names]
    lines = (
        alt.Chart(data("opens"))
        .transform_fold([*names], as_=["series", "rate"])
        .transform_filter("isValid(datum.rate)")
        .mark_line(interpolate="step-before")
        .encode(
            x=x_time(end_s),
            y=y_count("rate", "connections a second", top=top),
            color=alt.Color("series:N", scale=alt.Scale(domain=names, range=palette), legend=None),
            tooltip=[alt.Tooltip("t_s:Q", format=".2f"), "series:N", alt.Tooltip("rate:Q", format=",.1f")],
        )
    )
    labels = end_labels("opens_labels", y_count("at", "", top=top), end_s, names, palette)
    return finished(lines + labels, height=OPENS_HEIGHT)


@drawn
def episodes(colours: list[str], end_s: float) -> dict[str, Any]:
    """Spans of time, a row for each cause; a triangle where a listener was restarted, reloaded or closed."""
    rows = len(colours)
    scale = alt.Scale(domain=[rows - 0.5, -0.5], nice=False, zero=False)
    axis = alt.Axis(title=None, labels=False, grid=False)
    tint = alt.Scale(domain=list(range(rows)), range=[colour(name) for name in colours])
    tooltip = [alt.Tooltip(f"{name}:N") for name in ("cause", "where", "drops", "then")]
    bars = (
        alt.Chart(data("episodes"))
        .transform_calculate(upper="datum.row - 0.3", lower="datum.row + 0.3")
        .mark_rect(strokeWidth=2)  # so that what is too short is seen as well
        .encode(
            x=x_time(end_s, "from_s"),
            x2="to_s:Q",
            y=alt.Y("upper:Q", scale=scale, axis=axis),
            y2="lower:Q",
            color=alt.Color("row:O", scale=tint, legend=None),
            stroke=alt.Stroke("row:O", scale=tint, legend=None),
            tooltip=tooltip,
        )
    )
    marks = (
        alt.Chart(data("changes"))
        .mark_point(shape="triangle-up", filled=True, size=70, color=colour("ink"), opacity=1)
        .encode(
            x=x_time(end_s, "at_s"),
            y=alt.Y("row:Q", scale=scale, axis=axis),
            tooltip=[alt.Tooltip("what:N"), alt.Tooltip("where:N")],
        )
    )
    return finished(bars + marks, height=14 + 24 * rows)


@drawn
def failures(kinds: int, end_s: float, top: float) -> dict[str, Any]:
    """Failures by kind. Colours go by rank, which the page writes into the tables, never by name."""
    ranks = [str(rank) for rank in range(kinds)]
    palette = [colour(SERIES[rank % len(SERIES)]) for rank in range(kinds)]
    lines = (
        alt.Chart(data("failures"))
        .transform_lookup(lookup="failure", from_=alt.LookupData(data("failures_ranks"), "failure", ["rank"]))
        .mark_line(interpolate="step-after")
        .encode(
            x=x_time(end_s),
            y=y_count("count", "failures since the start", top=top),
            color=alt.Color("rank:N", scale=alt.Scale(domain=ranks, range=palette), legend=None),
            tooltip=[alt.Tooltip("t_s:Q", format=".2f"), "failure:N", alt.Tooltip("count:Q", format=",")],
        )
    )
    return finished(
        lines + end_labels("failures_labels", y_count("at", "", top=top), end_s, ranks, palette), height=170
    )


@drawn
def throughput(field: str, title: str, end_s: float) -> dict[str, Any]:
    """So many a second, between two samples."""
    base = alt.Chart(data("throughput")).transform_filter(f"isValid(datum.{field})")
    y = y_count(field, title)
    tooltip = [alt.Tooltip("t_s:Q", format=".2f"), alt.Tooltip(f"{field}:Q", format=",.0f")]
    area = base.mark_area(interpolate="step", color=colour("green"), opacity=0.2).encode(x=x_time(end_s), y=y)
    line = base.mark_line(interpolate="step", color=colour("green")).encode(x=x_time(end_s), y=y, tooltip=tooltip)
    return finished(area + line, height=150)


@drawn
def latency(kinds: list[str], end_s: float) -> dict[str, Any]:
    """Latency of what ended between two looks: p50 as a line, from there to p99 shaded, the worst as dots."""
    palette = [colour("blue") if kind == "connect" else colour("green") for kind in kinds]
    base = alt.Chart(data("latency")).transform_filter("datum.p50_us === null || datum.p50_us > 0")
    tint = alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=palette), legend=None)
    tooltip = [alt.Tooltip("t_s:Q", format=".2f"), "kind:N", alt.Tooltip("count:Q", format=",")]
    tooltip += [alt.Tooltip(f"{name}:Q", format=",.0f") for name in ("p50_us", "p99_us", "max_us")]
    x = x_time(end_s)
    band = base.mark_area(opacity=0.2, interpolate="linear").encode(
        x=x, y=y_latency("p50_us"), y2="p99_us:Q", color=tint
    )
    line = base.mark_line(point=alt.OverlayMarkDef(size=18)).encode(
        x=x, y=y_latency("p50_us"), color=tint, tooltip=tooltip
    )
    worst = base.mark_point(filled=True, size=14, opacity=0.7).encode(
        x=x, y=y_latency("max_us"), color=tint, tooltip=tooltip
    )
    labels = end_labels("latency_labels", y_latency("at"), end_s, kinds, palette)
    return finished(band + line + worst + labels)
