"""Plots of what came of all connections together: the funnel, and latency by percentile."""

from __future__ import annotations

from typing import Any

import altair as alt

from estab.report.html.charts.style import (
    NUMBERS_ROOM,
    ROOM,
    SERIES,
    colour,
    data,
    drawn,
    end_label,
    finished,
    y_latency,
)

# 1/(1-p) as the percentile that people say.
PERCENTILE = "datum.value <= 1 ? '0%' : datum.value <= 10 ? '90%' : '99' + (datum.value > 100 ? '.' : '') + " + (
    "slice('99999999', 0, max(0, round(log(datum.value) / log(10)) - 2)) + '%'"
)


@drawn
def funnel() -> dict[str, Any]:
    """How far connections came: a bar a stage, its count beside it."""
    stages = ["attempted", "connected", "accepted", "first byte", "completed"]
    y = alt.Y("stage:N", sort=stages, title=None, axis=alt.Axis(labelColor=colour("ink"), minExtent=76, maxExtent=76))
    x = alt.X(
        "count:Q",
        axis=None,
        scale=alt.Scale(domainMin=0, nice=False, range=[0, alt.ExprRef(f"width - {NUMBERS_ROOM}")]),
    )
    base = alt.Chart(data("funnel"))
    whole = base.transform_joinaggregate(most="max(count)").mark_bar(color=colour("grid"), height=18)
    bars = base.mark_bar(color=colour("blue"), height=18).encode(
        x=x, y=y, tooltip=["stage:N", alt.Tooltip("count:Q", format=",")]
    )
    names = base.transform_calculate(
        place="datum.count || 0",
        text="isValid(datum.count) ? format(datum.count, ',') + (isValid(datum.share) && datum.share < 1 ? "
        "' · ' + format(datum.share, datum.share > 0 && datum.share < 0.01 ? '.2%' : '.0%') : '') : datum.why",
    ).mark_text(align="left", dx=6, baseline="middle")
    return finished(
        whole.encode(x=alt.X("most:Q", axis=None, scale=alt.Scale(domainMin=0, nice=False)), y=y)
        + bars
        + names.encode(x=alt.X("place:Q", axis=None), y=y, text="text:N"),
        height=150,
    )


@drawn
def percentiles(kinds: list[str], most: float, table: str = "percentiles", field: str = "kind") -> dict[str, Any]:
    """HDR style: 1/(1-p) on a logarithmic axis, so that the tail has as much room as the middle."""
    decades = [10.0**i for i in range(9) if 10**i <= max(most, 10)]
    palette = [colour("blue") if kind == "connect" else colour("green") for kind in kinds]
    if field != "kind":
        palette = [colour(name) for name in ("blue", "orange", *SERIES[3:])][: len(kinds)]
    scale = alt.Scale(type="log", domain=[1, max(most, 10)], nice=False, range=[0, alt.ExprRef(f"width - {ROOM}")])
    x = alt.X("one_in:Q", scale=scale, axis=alt.Axis(title=None, values=decades, labelExpr=PERCENTILE, grid=True))
    tint = alt.Color(f"{field}:N", scale=alt.Scale(domain=kinds, range=palette), legend=None)
    base = alt.Chart(data(table)).transform_filter("datum.latency_us > 0")
    tooltip = [f"{field}:N", alt.Tooltip("percentile:Q", format=".4~f"), alt.Tooltip("latency_us:Q", format=",.0f")]
    lines = base.mark_line(interpolate="monotone").encode(x=x, y=y_latency("latency_us"), color=tint, tooltip=tooltip)
    dots = base.mark_point(size=30, opacity=0).encode(x=x, y=y_latency("latency_us"), tooltip=tooltip)
    labels = (
        alt.Chart(data(f"{table}_labels"))
        .mark_text(**end_label())
        .encode(
            x=alt.X("t_s:Q", scale=scale),
            y=y_latency("at"),
            text="text:N",
            color=alt.Color("series:N", scale=alt.Scale(domain=kinds, range=palette), legend=None),
        )
    )
    return finished(lines + dots + labels, height=220)
