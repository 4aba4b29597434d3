"""Plots of several runs on one page: a sweep over sizes, and the same line of each run laid over one another."""

from __future__ import annotations

from typing import Any

import altair as alt

from estab.report.html.charts.style import (
    COUNTS,
    NUMBERS_ROOM,
    SERIES,
    colour,
    data,
    drawn,
    end_labels,
    finished,
    x_time,
    y_axis,
    y_count,
)


@drawn
def sweep(title_x: str, title_y: str, top: float) -> dict[str, Any]:
    """What was reached over what was asked or set; on the thin line both are the same."""
    scale = alt.Scale(domain=[0, top], nice=False, range=[0, alt.ExprRef(f"width - {NUMBERS_ROOM}")])
    x = alt.X(
        "size:Q", scale=scale, axis=alt.Axis(title=title_x, labelExpr=COUNTS, titleAnchor="end", titleAlign="right")
    )
    y = alt.Y(
        "reached:Q", scale=alt.Scale(domain=[0, top], nice=False), axis=y_axis(title_y, labelExpr=COUNTS, tickMinStep=1)
    )
    even = alt.Chart(data("even")).mark_line(color=colour("axis"), strokeWidth=1, strokeDash=[4, 4])
    base = alt.Chart(data("sweep"))
    dots = base.mark_point(filled=True, size=80, color=colour("blue"), opacity=1)
    tooltip = ["what:N", alt.Tooltip("size:Q", format=","), alt.Tooltip("reached:Q", format=",")]
    names = base.mark_text(align="left", dx=9, dy=3, baseline="top")
    return finished(
        even.encode(x=alt.X("size:Q", scale=scale), y="reached:Q")
        + base.mark_line(color=colour("blue"), strokeWidth=1.5).encode(x=x, y=y)
        + dots.encode(x=x, y=y, tooltip=tooltip)
        + names.encode(x=x, y=y, text=alt.Text("reached:Q", format=",")),
        height=240,
    )


@drawn
def open_over_time(runs: int, end_s: float, top: float) -> dict[str, Any]:
    """Open connections of each run. Colours go by the run's place, never by its name."""
    places = [str(place) for place in range(runs)]
    palette = [colour(name) for name in ("blue", "orange", *SERIES[3:], "ink", "red")][:runs]
    lines = (
        alt.Chart(data("open"))
        .mark_line(interpolate="step-after")
        .encode(
            x=x_time(end_s),
            y=y_count("open", "open connections", top=top),
            color=alt.Color("place:N", scale=alt.Scale(domain=places, range=palette), legend=None),
            tooltip=["run:N", alt.Tooltip("t_s:Q", format=".2f"), alt.Tooltip("open:Q", format=",")],
        )
    )
    return finished(lines + end_labels("open_labels", y_count("at", "", top=top), end_s, places, palette))
