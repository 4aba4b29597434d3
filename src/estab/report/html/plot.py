"""`Plot`: a chart with its words and its tables, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from estab.report.html.table import PlotTable


@dataclass(frozen=True)
class Plot:
    """One plot. `chart` is its Vega-Lite; None where there is nothing to draw, and `missing` says why.

    `legend`: (colour's name, words) that no label in the plot says. `caption`: how to read it, in a sentence.
    """

    name: str
    title: str
    caption: str = ""
    tables: Sequence[PlotTable] = ()
    chart: Mapping[str, Any] | None = None
    missing: str = ""
    legend: Sequence[tuple[str, str]] = ()

    @property
    def downloads(self) -> list[PlotTable]:
        """The tables that a reader may want as files."""
        return [table for table in self.tables if not table.drawn_only and len(table)]


def nothing(name: str, title: str, why: str) -> Plot:
    """A plot that cannot be drawn, and why."""
    return Plot(name, title, missing=why)
