"""The growth curves as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import altair as alt
import vl_convert

Point = Mapping[str, float | None]
Lines = Sequence[tuple[str, str, float]]  # field, what the legend says, factor
GREY = "#777777"
ScaleKind = Literal["linear", "log"]
COLOURS = ("#00796b", "#c2185b", "#5c6bc0")

CPU: Lines = (("cpu_us_client", "client", 1), ("cpu_us_server", "server", 1))
MEMORY: Lines = (
    ("kernel_bytes", "kernel, both ends", 1),
    ("client_bytes", "estab, client", 1),
    ("server_bytes", "estab, server", 1),
)
CENSUS: Lines = (("census_s", "estab", 1000), ("ss_s", "ss -tan", 1000))


def draw(points: Sequence[Point], folder: Path) -> None:
    """Writes growth-cpu.svg, growth-memory.svg and growth-census.svg."""
    charts: Sequence[tuple[str, Lines, str, ScaleKind]] = (
        ("cpu", CPU, "CPU time a request (µs)", "linear"),
        ("memory", MEMORY, "memory a connection (bytes)", "log"),
        ("census", CENSUS, "counting all sockets (ms)", "log"),
    )
    for name, lines, title, scale in charts:
        svg = vl_convert.vegalite_to_svg(chart(points, lines, title, scale).to_dict())
        (folder / f"growth-{name}.svg").write_text(svg + "\n", encoding="utf-8")


def chart(points: Sequence[Point], lines: Lines, title: str, scale: ScaleKind) -> Any:
    """One chart: connections to the right, `lines` upwards. What was not measured has no point."""
    rows = [
        {"connections": point["connections"], "what": label, "value": value * factor}
        for point in points
        for field, label, factor in lines
        if (value := point.get(field)) is not None and value > 0
    ]
    domain = [label for _, label, _ in lines]
    return (
        alt.Chart(alt.InlineData(values=rows), width=460, height=240)
        .mark_line(point={"size": 45}, strokeWidth=2)
        .encode(
            x=alt.X("connections:Q", title="connections", scale=alt.Scale(type="log"), axis=_axis("log")),
            y=alt.Y("value:Q", title=title, scale=alt.Scale(type=scale), axis=_axis(scale)),
            color=alt.Color("what:N", title=None, scale=alt.Scale(domain=domain, range=list(COLOURS[: len(domain)]))),
            shape=alt.Shape("what:N", title=None, scale=alt.Scale(domain=domain)),
        )
        .configure(background="transparent", font="sans-serif")
        .configure_axis(labelColor=GREY, titleColor=GREY, gridColor=GREY, domainColor=GREY, tickColor=GREY)
        .configure_legend(labelColor=GREY, orient="top")
        .configure_view(stroke=None)
    )


def _axis(scale: ScaleKind) -> Any:
    decades = [10**power for power in range(8)] if scale == "log" else alt.Undefined
    return alt.Axis(format="~s", gridOpacity=0.25, values=decades)
