"""The two ladders: SYN retransmissions beside the rule's, and limits with where the run stood."""

from __future__ import annotations

from typing import Any

import altair as alt

from estab.report.html.charts.style import NUMBERS_ROOM, colour, data, drawn, finished


@drawn
def syns(rungs: int, end_s: float, *, captured: bool) -> dict[str, Any]:
    """A rung for each SYN: when it leaves by the rule, when connects were answered, when a capture saw it."""
    names = ["first SYN", "sent again", "2nd time", "3rd time", *(f"{n}th time" for n in range(4, 12))][:rungs]
    label = "[" + ", ".join(repr(name) for name in names) + "][datum.retransmit]"
    axis = alt.Axis(labelColor=colour("ink"), minExtent=76, maxExtent=76, grid=True)
    scale = alt.Scale(domain=[0, end_s], nice=False, range=[0, alt.ExprRef(f"width - {NUMBERS_ROOM}")])
    y = alt.Y("rung:N", sort=names, scale=alt.Scale(domain=names), title=None, axis=axis)

    def chart(name: str) -> Any:
        return alt.Chart(data(name)).transform_calculate(rung=label).transform_filter("isValid(datum.rung)")

    def x(field: str) -> alt.X:
        return alt.X(field, scale=scale, axis=alt.Axis(title=None, labelExpr="datum.label + ' s'", tickCount=6))

    rule = chart("syn_rule").mark_bar(color=colour("faint"), stroke=colour("faint"), strokeWidth=6, height=22)
    answered = chart("syn_measured").mark_circle(color=colour("blue"), opacity=0.75)
    tooltip = [alt.Tooltip("answered_after_s:Q", format=".4f"), alt.Tooltip("connects:Q", format=",")]
    layers = [
        rule.encode(x=x("rule_from_s:Q"), x2="rule_to_s:Q", y=y, tooltip=["rule_from_s:Q", "rule_to_s:Q"]),
        answered.encode(
            x=x("answered_after_s:Q"),
            y=y,
            size=alt.Size("connects:Q", scale=alt.Scale(type="sqrt", range=[20, 260]), legend=None),
            tooltip=tooltip,
        ),
    ]
    if captured:
        ticks = chart("syn_captured").mark_tick(color=colour("red"), thickness=2, size=26)
        layers.append(ticks.encode(x=x("after_s:Q"), y=y, tooltip=["after_s:Q", alt.Tooltip("syns:Q", format=",")]))
    ends = alt.Chart(data("syn_end"))
    layers.append(ends.mark_rule(color=colour("red"), strokeDash=[5, 3]).encode(x=x("at_s:Q")))
    text = chart("syn_rule").transform_calculate(
        text="datum.connects > 0 ? format(datum.connects, ',') + (datum.connects == 1 ? ' connect' : ' connects') : ''"
    )
    layers.append(
        text.mark_text(align="left", dx=8, baseline="middle").encode(
            x=alt.value(alt.ExprRef(f"width - {NUMBERS_ROOM}")), y=y, text="text:N"
        )
    )
    return finished(alt.layer(*layers), height=max(80, 34 * rungs))


@drawn
def rungs(shown: int) -> dict[str, Any]:
    """Each limit by how many connections it allowed when the run began, on a logarithmic scale."""
    axis = alt.Axis(labelColor=colour("ink"), labelLimit=190, domain=False, ticks=False, minExtent=10, maxExtent=240)
    y = alt.Y("limit:N", sort=None, title=None, axis=axis)
    scale = alt.Scale(type="symlog", constant=1, nice=False, domainMin=0, range=[0, alt.ExprRef("width - 62")])
    base = alt.Chart(data("rungs"))
    x = alt.X("allows_more:Q", scale=scale, axis=None)
    tooltip = ["limit:N", "side:N", alt.Tooltip("allows_more:Q", format=",")]
    bars = base.mark_bar(height=14).encode(
        x=x,
        y=y,
        color=alt.condition("datum.met", alt.value(colour("red")), alt.value(colour("sky"))),
        tooltip=tooltip,
    )
    numbers = base.mark_text(align="left", dx=5, baseline="middle").encode(
        x=x, y=y, text=alt.Text("allows_more:Q", format=",")
    )
    stood = alt.Chart(data("stood"))
    line = stood.mark_rule(strokeDash=[5, 3], strokeWidth=1.5).encode(
        x=alt.X("connections:Q", scale=scale, axis=None),
        color=alt.Color(
            "what:N",
            scale=alt.Scale(domain=["asked", "reached"], range=[colour("red"), colour("ink")]),
            legend=None,
        ),
        tooltip=["what:N", alt.Tooltip("connections:Q", format=",")],
    )
    return finished(bars + line + numbers, height=24 * shown)
