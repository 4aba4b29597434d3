"""Idle times in words: after how long a rest connections were answered, and how those ended that were not. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from estab.records import IdleGap
from estab.report.layout import columns
from estab.report.words import count, seconds
from estab.words import plural

HEADER = (("rest", True), ("connections", True), ("what happened", False))  # and whether it is a number
_EQUAL_S = 0.05  # times are written to a tenth of a second


def gap_rows(gaps: Sequence[IdleGap]) -> list[list[str]]:
    """A row for each gap."""
    return [[rest_time(gap.gap_s), count(gap.connections), what_happened(gap)] for gap in gaps]


def gap_table(gaps: Sequence[IdleGap]) -> Table:
    """The same for a terminal."""
    table = columns(header=True)
    for name, is_number in HEADER:
        table.add_column(name, justify="right" if is_number else "left", no_wrap=is_number)
    for row in gap_rows(gaps):
        table.add_row(*row)
    return table


def around_border(gaps: Sequence[IdleGap], most: int = 8) -> Sequence[IdleGap]:
    """So many of them at most: those about the first in which something ended, else the longest."""
    border = next((number for number, gap in enumerate(gaps) if gap.ended), len(gaps))
    start = max(0, min(border - most // 2, len(gaps) - most))
    return gaps[start : start + most]


def rest_time(value_s: float) -> str:
    """A time as people set it: `7.0 s`, `65.0 s`, `250 ms`."""
    return seconds(value_s) if value_s < 1 else f"{value_s:,.1f} s"


def what_happened(gap: IdleGap) -> str:
    """`answered`, `closed by FIN after 65.0 s`, `reset when asked after 30.0 s`; each with its number if mixed."""
    if not gap.answered and not gap.ended:
        return "not asked again: it ended before that" if gap.rested else "none got so far"
    stayed = gap.rested - gap.ended
    outcomes = [(stayed, "answered")] if gap.answered and stayed > 0 else []
    outcomes += list(_ends(gap))
    told = ", ".join(text if number == gap.connections else f"{number:,} {text}" for number, text in outcomes)
    return f"answered {plural(gap.answered, 'time')}, then {told}" if gap.answered and stayed <= 0 else told


def _ends(gap: IdleGap) -> Iterator[tuple[int, str]]:
    after = f"after {_span(gap)}"
    asked = "" if gap.unasked else "when asked "
    lost = ", not acknowledged" if gap.silent and gap.unacknowledged == gap.silent else ""
    yield from (
        (number, text)
        for number, text in (
            (gap.closed, f"closed by FIN {asked}{after}"),
            (gap.reset, f"reset {asked}{after}"),
            (gap.silent, f"silent when asked {after}{lost}"),
            (gap.wrong, f"failed {after}"),
        )
        if number
    )


def _span(gap: IdleGap) -> str:
    least, most = gap.least_s or 0.0, gap.most_s or 0.0
    if most - least < _EQUAL_S or rest_time(least) == rest_time(most):
        return rest_time(least)
    return f"{least:.1f} to {most:.1f} s" if least >= 1 else f"{rest_time(least)} to {rest_time(most)}"
