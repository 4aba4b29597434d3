"""The text that is printed. Pure: results in, lines out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.cases import Row
from benchmarks.ratios import Spread, met, ratios, spread

HEAD = ("case", "estab", "peer", "unit", "least", "median", "most", "target", "met")


@dataclass
class Result:
    """What a line's pairs gave. `skipped` says why there is nothing; `errors` are pairs that gave none."""

    row: Row
    peer_name: str | None
    own: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)
    skipped: str | None = None
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def judged(self) -> list[float]:
        """What the target is held against: the ratios, or the figures themselves where there is no peer."""
        if self.peer_name is None:
            return self.own
        return ratios(list(zip(self.own, self.peer, strict=True)), self.row.better)

    def met(self) -> bool | None:
        """Whether the median reaches the target."""
        return met(self.judged(), self.row.target, self.row.better if self.peer_name is None else "higher")

    def record(self) -> dict[str, Any]:
        """For JSON."""
        found = spread(self.judged())
        return {
            **asdict(self.row),
            "peer_name": self.peer_name,
            "own": self.own,
            "peer": self.peer,
            "judged": self.judged(),
            "spread": asdict(found) if found else None,
            "met": self.met(),
            "skipped": self.skipped,
            "errors": self.errors,
            "notes": self.notes,
        }


def number(value: float) -> str:
    """Three digits or more, thousands set apart."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _middle(values: Sequence[float]) -> str:
    found = spread(values)
    return number(found.median) if found else "-"


def cells(result: Result) -> tuple[str, ...]:
    """One line of the table. `least` to `most` are ratios, or figures where there is no peer."""
    row = result.row
    if result.skipped:
        return (row.name, "-", "-", row.unit, "-", "-", "-", _target(result), "skipped")
    found: Spread | None = spread(result.judged())
    spreads = (
        ("-", "-", "-") if found is None else tuple(_judged(result, x) for x in (found.least, found.median, found.most))
    )
    verdict = {True: "yes", False: "NO", None: "" if found else "failed" if result.errors else "not run"}[result.met()]
    return (row.name, _middle(result.own), _middle(result.peer), row.unit, *spreads, _target(result), verdict)


def _judged(result: Result, value: float) -> str:
    return number(value) if result.peer_name is None else f"{value:.2f}x"


def _target(result: Result) -> str:
    if result.row.target is None:
        return ""
    if result.peer_name is not None:
        return f"≥ {result.row.target:.2f}x"
    return f"{'≥' if result.row.better == 'higher' else '≤'} {result.row.target:g}"


def render(results: Sequence[Result]) -> list[str]:
    """The table, then a line or more about each of its lines."""
    rows = [HEAD, *(cells(result) for result in results)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    lines = []
    for row in rows:
        text = [
            cell.ljust(width) if i in (0, 3) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(text).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return [*lines, "", *(line for result in results for line in _about(result))]


def _about(result: Result) -> list[str]:
    against = f", against {result.peer_name}" if result.peer_name else ""
    lines = [f"{result.row.name}: {result.row.title}{against}"]
    if result.skipped:
        lines.append(f"  skipped: {result.skipped}")
    lines += [f"  {count}{text}" for count, text in _counted(result.errors, "a pair failed: ")]
    lines += [f"  {count}{text}" for count, text in _counted(result.notes, "")]
    return lines


def _counted(texts: Sequence[str], prefix: str) -> list[tuple[str, str]]:
    unique = list(dict.fromkeys(texts))
    return [(f"{texts.count(text)} times: " if texts.count(text) > 1 else "", prefix + text) for text in unique]
