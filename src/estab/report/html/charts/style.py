"""How all plots look: colours by name, for light and for dark; axes; the room for labels on the right.

Colours are CSS variables, so that one rendering serves light, dark and paper. The palette is Okabe and Ito's, which
people with any kind of colour vision tell apart, lightened for the dark.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any, Literal, ParamSpec

import altair as alt
from altair.utils.schemapi import debug_mode

_Arguments = ParamSpec("_Arguments")

# name: (on white, on black)
COLOURS: dict[str, tuple[str, str]] = {
    "ink": ("#1b1f24", "#e6e8eb"),
    "muted": ("#5c6570", "#9aa4af"),
    "grid": ("#e7e9ec", "#2b3138"),
    "axis": ("#b9bfc6", "#4a525b"),
    "paper": ("#ffffff", "#15181c"),
    "blue": ("#0072b2", "#56a9e0"),
    "sky": ("#56b4e9", "#2f7fb3"),
    "green": ("#00805f", "#3dbf98"),
    "orange": ("#d98200", "#f0a83c"),
    "red": ("#c2410c", "#ff7f50"),
    "purple": ("#a8508a", "#d68fbd"),
    "yellow": ("#b59b00", "#e0d050"),
    "grey": ("#8a929b", "#7c858f"),
    "faint": ("#c9ced4", "#3f474f"),
}
STATE_COLOURS = {
    "ESTAB": "blue",
    "ghosts": "red",
    "SYN-SENT": "orange",
    "SYN-RECV": "yellow",
    "CLOSE-WAIT": "purple",
    "LAST-ACK": "green",
    "FIN-WAIT-1": "green",
    "FIN-WAIT-2": "sky",
    "CLOSING": "purple",
    "TIME-WAIT": "grey",
    "other": "faint",
}
BAND_COLOURS = ("red", "orange", "purple", "yellow", "green", "sky", "grey")
SERIES = ("red", "blue", "orange", "green", "purple", "sky", "yellow", "grey", "muted")
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', sans-serif"
HEIGHT = 200
LEFT = 52
STATIC_WIDTH = 760
# The plot ends before the page does: what stands right of it says numbers, or labels the lines.
NUMBERS_ROOM = "(width < 480 ? 118 : 156)"
ROOM = "(width < 480 ? 8 : 156)"
# On a phone there is no room beside the plot: labels stand in it, above the lines that they name.
IS_NARROW = "width < 480"
MOST_KEPT = 64  # charts that are not made again


def drawn(draw: Callable[_Arguments, dict[str, Any]]) -> Callable[_Arguments, dict[str, Any]]:
    """Draws a chart of the same arguments, which are plain values, once: a page that is thinned asks for it again.

    Altair does not check each part as it is made, which takes as long as drawing: a test checks the whole chart.
    """
    kept: dict[str, str] = {}

    @functools.wraps(draw)
    def chart(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> dict[str, Any]:
        asked = repr((arguments, named))
        if asked not in kept:
            if len(kept) == MOST_KEPT:
                kept.clear()
            with debug_mode(False):
                kept[asked] = json.dumps(draw(*arguments, **named))
        made: dict[str, Any] = json.loads(kept[asked])
        return made

    return chart


def colour(name: str) -> str:
    """The CSS variable of a colour."""
    return f"var(--{name})"


def config() -> dict[str, Any]:
    """Vega-Lite's config for every plot."""
    axis = {
        "labelColor": colour("muted"), "labelFontSize": 12, "labelFont": FONT, "titleColor": colour("muted"),
        "titleFont": FONT, "titleFontSize": 12, "titleFontWeight": "normal", "gridColor": colour("grid"),
        "domainColor": colour("axis"), "tickColor": colour("axis"), "tickSize": 4, "labelPadding": 4,
    }  # fmt: skip
    return {
        "background": None,
        "font": FONT,
        "padding": {"left": 0, "right": 2, "top": 4, "bottom": 2},
        "view": {"stroke": None},
        "axis": axis,
        "axisY": {"domain": False, "ticks": False, "minExtent": LEFT, "maxExtent": LEFT},
        "axisX": {"grid": False},
        "line": {"strokeWidth": 2, "strokeJoin": "round", "strokeCap": "round"},
        "area": {"line": False, "opacity": 0.85},
        "text": {"font": FONT, "fontSize": 12, "color": colour("ink")},
        "rule": {"color": colour("muted")},
    }


def data(name: str) -> alt.NamedData:
    """The table of that name, which the page brings."""
    return alt.NamedData(name)


SECONDS = "datum.label + ' s'"


def x_time(end_s: float, field: str = "t_s") -> alt.X:
    """Seconds since the start; all time axes of a page begin and end at the same place."""
    scale = alt.Scale(domain=[0, end_s], nice=False, range=[0, alt.ExprRef(f"width - {ROOM}")])
    axis = alt.Axis(title=None, labelExpr=SECONDS, labelOverlap=True, labelFlush=False, tickCount=6)
    return alt.X(f"{field}:Q", scale=scale, axis=axis)


def y_count(field: str, title: str, *, top: float | None = None, stack: Literal["zero"] | None = None) -> alt.Y:
    """A count from 0 up. `top`: where the axis must reach at least."""
    scale = alt.Scale(domainMin=0, nice=True, zero=True) if top is None else alt.Scale(domain=[0, top], nice=True)
    return alt.Y(
        f"{field}:Q", title=title, scale=scale, axis=y_axis(title, labelExpr=COUNTS, tickMinStep=1), stack=stack
    )


COUNTS = "format(datum.value, datum.value >= 10000 ? '~s' : ',~r')"


def y_axis(title: str, **more: Any) -> alt.Axis:
    """A vertical axis whose title lies above it, to be read without a turned head."""
    return alt.Axis(
        title=title, titleAngle=0, titleAlign="left", titleAnchor="start", titleX=-LEFT, titleY=-8,
        titleBaseline="bottom", tickCount=4, **more,
    )  # fmt: skip


# Microseconds in the unit that suits them; between the powers of ten the axis is quiet.
MICROSECONDS = (
    "abs(log(datum.value) / LN10 - round(log(datum.value) / LN10)) > 0.001 ? '' : "
    "datum.value >= 1e6 ? format(datum.value / 1e6, '~g') + ' s' : "
    "datum.value >= 1e3 ? format(datum.value / 1e3, '~g') + ' ms' : format(datum.value, '~g') + ' µs'"
)


def y_latency(field: str, title: str = "latency, log scale") -> alt.Y:
    """Microseconds on a logarithmic axis with readable units."""
    scale = alt.Scale(type="log", nice=True)
    return alt.Y(f"{field}:Q", scale=scale, axis=y_axis(title, labelExpr=MICROSECONDS, labelOverlap=True))


def end_label() -> dict[str, Any]:
    """How the name of a line stands right of its end, and on a phone before it, whole."""
    return {
        "align": alt.ExprRef(f"{IS_NARROW} ? 'right' : 'left'"),
        "dx": alt.ExprRef(f"{IS_NARROW} ? 0 : 8"),
        "baseline": alt.ExprRef(f"{IS_NARROW} ? 'bottom' : 'middle'"),
        "limit": alt.ExprRef(f"{IS_NARROW} ? width : {ROOM} - 8"),
    }


def end_labels(table: str, y: alt.Y, end_s: float, domain: list[str], colours: list[str]) -> alt.Chart:
    """The names of lines, right of their ends: the table has t_s, series, text and the place `at`."""
    chart: alt.Chart = (
        alt.Chart(data(table))
        .mark_text(**end_label())
        .encode(
            x=x_time(end_s),
            y=y,
            text="text:N",
            color=alt.Color("series:N", scale=alt.Scale(domain=domain, range=colours), legend=None),
        )
    )
    return chart


def by_clock(chart: dict[str, Any], started_at_s: float, end_s: float) -> dict[str, Any]:
    """A finished chart whose time axis, to `end_s`, says the time of day (UTC) in place of seconds since a start.

    Beside the pointer stands the table's column `utc` in place of `t_s`.
    """
    step_s = next((step for step in _STEPS_S if end_s / step <= _MOST_TICKS), _STEPS_S[-1])
    first_s = -started_at_s % step_s
    ticks = [first_s + step_s * number for number in range(int(max(0.0, end_s - first_s) // step_s) + 1)]
    form = "%H:%M:%S" if step_s < 60 else "%H:%M" if end_s < 86_400 else "%m-%d %H:%M"
    clock = f"utcFormat(toDate((datum.value + {started_at_s!r}) * 1000), '{form}')"
    text = json.dumps(chart, sort_keys=True).replace(_SECONDS_TIP, _CLOCK_TIP)
    text = text.replace(f'"labelExpr": {json.dumps(SECONDS)}', f'"labelExpr": {json.dumps(clock)}, "values": {ticks}')
    made: dict[str, Any] = json.loads(text)
    return made


_STEPS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800)
_MOST_TICKS = 7


_SECONDS_TIP, _CLOCK_TIP = (
    json.dumps(tip.to_dict(), sort_keys=True) for tip in (alt.Tooltip("t_s:Q", format=".2f"), alt.Tooltip("utc:N"))
)


@drawn
def with_bands(chart: dict[str, Any], table: str, end_s: float, colours: Sequence[str] = ("red",)) -> dict[str, Any]:
    """A finished chart over the spans of time (from_s, to_s) of `table`, shaded; of several colours the `row` says
    which.
    """
    layers = []
    for row, name in enumerate(colours):
        # The line around it shows what is too short to be seen.
        shade = alt.Chart(data(table)).mark_rect(color=colour(name), opacity=0.16, stroke=colour(name), strokeWidth=1)
        if len(colours) > 1:
            shade = shade.transform_filter(f"datum.row === {row}")
        layers.append(_part(shade.encode(x=x_time(end_s, "from_s"), x2="to_s:Q")))
    return _layered(layers, chart, [])


@drawn
def with_marks(chart: dict[str, Any], table: str, end_s: float) -> dict[str, Any]:
    """A finished chart with a thin line at each moment (at_s) of `table`."""
    line = alt.Chart(data(table)).mark_rule(color=colour("muted"), strokeWidth=1, strokeDash=[3, 3])
    return _layered([], chart, [_part(line.encode(x=x_time(end_s, "at_s"), tooltip=["what:N", "where:N"]))])


def _part(chart: Any) -> dict[str, Any]:
    made = chart.to_dict(validate=False)
    return {name: made[name] for name in _OF_A_LAYER if name in made}


def _layered(below: list[dict[str, Any]], chart: dict[str, Any], above: list[dict[str, Any]]) -> dict[str, Any]:
    if "layer" in chart:  # what its layers share, as their data, stays where it is
        return {**chart, "layer": [*below, *chart["layer"], *above]}
    own = {name: chart[name] for name in _OF_A_LAYER if name in chart}
    return {**{name: value for name, value in chart.items() if name not in own}, "layer": [*below, own, *above]}


_OF_A_LAYER = ("data", "mark", "encoding", "transform")


def finished(chart: Any, height: int = HEIGHT) -> dict[str, Any]:
    """The chart's Vega-Lite, as wide as its place. A test checks that it is valid: that takes longer than drawing."""
    made: dict[str, Any] = chart.properties(width="container", height=height).to_dict(validate=False)
    made["config"] = config()
    made["autosize"] = {"type": "fit-x", "contains": "padding"}
    return made
