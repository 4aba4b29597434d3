"""The episodes of a recording as bands over time, a colour for each cause; what became of the listeners as marks. Pure.

Causes are known by number in charts: that which shows in most intervals is 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from estab.records import Episodes
from estab.report.episodes import after, where
from estab.report.html.charts import over_time as charts
from estab.report.html.charts.style import BAND_COLOURS
from estab.report.html.plot import Plot
from estab.report.html.table import PlotTable, table
from estab.report.recorded import causes
from estab.report.words import clean, count

MOST_DRAWN = 1_000
_CHANGES = ("restarted", "reloaded", "closed")


def colours(recording: Episodes) -> list[str]:
    """A colour's name for each of `causes`; those beyond the palette share the last."""
    return [BAND_COLOURS[min(place, len(BAND_COLOURS) - 1)] for place in range(len(causes(recording)))]


def bands(recording: Episodes, start_s: float) -> PlotTable:
    """Each episode as a span of time, in seconds after `start_s` (Unix time)."""
    order = causes(recording)
    rows = [
        (
            each.from_s - start_s,
            each.to_s - start_s,
            order.index(each.cause),
            clean(each.cause),
            where(each),
            each.drops,
            after(each),
        )
        for each in recording.episodes[-MOST_DRAWN:]
    ]
    return table("episodes", ("from_s", "to_s", "row", "cause", "where", "drops", "then"), rows)


def changes(recording: Episodes, start_s: float) -> PlotTable:
    """When a listener was restarted, reloaded or closed."""
    order = causes(recording)
    rows = [
        (each.next_s - start_s, order.index(each.cause), each.next, where(each))
        for each in recording.episodes[-MOST_DRAWN:]
        if each.next in _CHANGES and each.next_s is not None
    ]
    return table("changes", ("at_s", "row", "what", "where"), rows)


def plot(recording: Episodes, spans: PlotTable, marks: PlotTable, end_s: float) -> Plot:
    """All episodes below one another by cause."""
    order = causes(recording)
    times = Counter(episode.cause for episode in recording.episodes)
    legend = [
        (colour, clean(f"{cause} {count(times[cause])}"))
        for colour, cause in zip(colours(recording), order, strict=True)
    ]
    caption = "A band lasts from the last look before it to the last one that shows it."
    if len(recording.episodes) > MOST_DRAWN:
        caption += f" Drawn are the newest {MOST_DRAWN:,}."
    if len(marks):
        caption += " A triangle: the listener was restarted, reloaded or closed."
    chart = charts.episodes(colours(recording), end_s)
    return Plot("episodes", "Episodes", caption, [spans, marks], chart, legend=legend)


def shaded(order: Sequence[str]) -> str:
    """What the bands behind a plot are, in a sentence."""
    return "Shaded: the episode." if len(order) == 1 else "Shaded: the episodes, in their colours."
