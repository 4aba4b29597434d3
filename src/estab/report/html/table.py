"""`PlotTable`: the numbers behind a plot; drawn, and downloaded from the page as CSV or JSON. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Cell = int | float | str | None


@dataclass(frozen=True)
class PlotTable:
    """Columns of equal length, by name; units stand in the names. None: not recorded.

    `drawn_only`: labels and marks that a plot needs and nobody wants as a file.
    """

    name: str
    columns: Mapping[str, Sequence[Cell]]
    drawn_only: bool = False

    def __len__(self) -> int:
        return max((len(values) for values in self.columns.values()), default=0)

    def rows(self) -> Iterator[dict[str, Cell]]:
        """Each row by column name."""
        names = list(self.columns)
        for values in zip(*self.columns.values(), strict=True):
            yield dict(zip(names, values, strict=True))

    def data(self) -> dict[str, list[Any]]:
        """The columns for JSON, which knows neither NaN nor infinity: those are None."""
        return {name: [_finite(value) for value in values] for name, values in self.columns.items()}


def table(name: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, drawn_only: bool = False) -> PlotTable:
    """A table of rows, which may be none."""
    cells = list(rows)
    return PlotTable(name, {key: [row[i] for row in cells] for i, key in enumerate(columns)}, drawn_only)


def _finite(value: Cell) -> Cell:
    return None if isinstance(value, float) and not math.isfinite(value) else value
