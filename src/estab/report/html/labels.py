"""Where the names of lines go, so that none covers another. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from estab.report.html.table import PlotTable, table

_LINE_PX = 15


def beside(
    name: str, ends: Sequence[tuple[str, float, str]], *, t_s: float, top: float, height: int, log_from: float = 0.0
) -> PlotTable:
    """Labels for lines that end at (series, value, text): moved apart to a line's height each, upwards.

    `top` is the axis' upper end; `log_from` its lower end where the axis is logarithmic, else 0.
    """
    if log_from > 0:  # the axis goes from a power of ten to one
        log_from, top = 10 ** math.floor(math.log10(log_from)), 10 ** math.ceil(math.log10(max(top, log_from)))
    if log_from > 0 and top > log_from:
        span = math.log(top / log_from)
        places = [math.log(max(value, log_from) / log_from) / span for _, value, _ in ends]
    else:
        places = [value / top if top > 0 else 0.0 for _, value, _ in ends]
    moved = _apart(places, _LINE_PX / height)
    back = [log_from * math.exp(place * span) if log_from > 0 and top > log_from else place * top for place in moved]
    rows = [(t_s, series, text, at) for (series, _, text), at in zip(ends, back, strict=True)]
    return table(name, ("t_s", "series", "text", "at"), rows, drawn_only=True)


def _apart(places: Sequence[float], gap: float) -> list[float]:
    """Places from 0 to 1 with at least `gap` between them, in the same order, the lowest staying where it is."""
    moved = list(places)
    order = sorted(range(len(places)), key=lambda i: places[i])
    for lower, upper in pairwise(order):
        moved[upper] = max(moved[upper], moved[lower] + gap)
    highest = 1.0
    for i in reversed(order):  # what was pushed out at the top comes down again, and with it what it touches
        moved[i] = min(moved[i], highest)
        highest = moved[i] - gap
    return moved
