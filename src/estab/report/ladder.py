"""The ladder of limits on the terminal: what binds first, what binds after it, then every rung."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from estab.records import Limit, Limits, RateLimit
from estab.report.layout import Glyphs, beside, columns, glyphs_for, heading, indented, line
from estab.report.trimmed import print_trimmed
from estab.report.words import DASH, clean, count, size
from estab.words import plural

_MILLION = 1_000_000
_ESTIMATES = ("memory",)


def render_limits(limits: Limits, console: Console) -> None:
    """Prints the whole ladder on `console`, no line longer than it is wide and none with blanks at its end."""
    print_trimmed(console, *_parts(limits, glyphs_for(console)))


def _parts(limits: Limits, glyphs: Glyphs) -> Iterator[RenderableType]:
    arrow = " -> " if glyphs.bullet == "-" else " → "
    yield Text("estab limits", style="bold").append(f"  {clean(limits.target or 'this host as a client')}")
    if limits.why_server_unobserved and limits.target:
        yield line(f"The server's side was not observed: {clean(limits.why_server_unobserved)}", style="yellow")
    yield from _first(limits, arrow)
    known = [limit for limit in limits.limits if limit.capacity_connections is not None]
    yield heading("Limits, tightest first")
    yield indented(_table(known))
    for limit in known:
        yield from _detail(limit)
    yield from _unknown([limit for limit in limits.limits if limit.capacity_connections is None])
    yield from _rates(limits.rates)


def _first(limits: Limits, arrow: str) -> Iterator[RenderableType]:
    yield heading("Ceiling")
    if limits.binding is None:
        yield indented(line("No limit could be read."))
        return
    first = limits.limits[0]
    met = first.capacity_connections == 0
    allowed = plural(first.capacity_connections or 0, "more connection")
    said = "is met: not one connection more" if met else f"allows {allowed}"
    yield indented(line(f"{clean(limits.binding)} (at the {first.side}) {said}", style="bold red" if met else "bold"))
    steps = [f"{clean(name)} {about(name, capacity)}" for name, capacity in limits.next_after]
    yield indented(line((arrow + "then ").join(steps)))


def about(name: str, capacity: int) -> str:
    """How many connections; an estimate is told as one."""
    if not name.endswith(_ESTIMATES):
        return count(capacity)
    return f"about {capacity / _MILLION:.1f} M" if capacity >= _MILLION else f"about {count(capacity)}"


def _table(limits: list[Limit]) -> Table:
    table = columns(header=True)
    table.add_column("allows more", justify="right", overflow="fold")
    table.add_column("limit", overflow="fold")
    table.add_column("at")
    table.add_column("value", justify="right", overflow="fold")
    table.add_column("used", justify="right", overflow="fold")
    for limit in limits:
        style = "bold red" if limit.capacity_connections == 0 else ""
        allowed = about(limit.limit, limit.capacity_connections or 0)
        table.add_row(
            Text(allowed, style=style),
            clean(limit.limit),
            limit.side,
            _amount(limit, limit.value),
            _amount(limit, limit.used),
        )
    return table


def _amount(limit: Limit, value: int | None) -> str:
    if value is None:
        return DASH
    return size(value) if limit.unit == "bytes" else count(value)


def _detail(limit: Limit) -> Iterator[RenderableType]:
    """What raises a rung, what to restart, and what there is to know."""
    yield line("")
    yield indented(line(f"{clean(limit.limit)}: {clean(limit.unit)}", style="bold"))
    yield from _said("raise", limit.raise_with, "green")
    yield from _said("restart", limit.restart)
    yield from _said("note", limit.note, "dim")
    yield from _said("read from", limit.source, "dim")


def _said(what: str, words: str | None, style: str = "") -> Iterator[RenderableType]:
    if words:
        yield beside([(Text(what.ljust(9), style="dim"), Text(clean(words), style=style))], indent=4)


def _unknown(limits: list[Limit]) -> Iterator[RenderableType]:
    if not limits:
        return
    yield heading("No ceiling of connections, or not known")
    for limit in limits:
        of = "" if limit.value is None else f" {_amount(limit, limit.value)}"
        used = "" if limit.used is None else f", used {_amount(limit, limit.used)}"
        yield indented(line(f"{clean(limit.limit)}{of}{used} ({clean(limit.unit)}, at the {limit.side})"))
        yield from _said("why", limit.why_unknown, "dim")
        yield from _said("note", limit.note)
        if limit.value is not None:
            yield from _said("raise", limit.raise_with, "green")
            yield from _said("restart", limit.restart)


def _rates(rates: list[RateLimit]) -> Iterator[RenderableType]:
    if not rates:
        return
    yield heading("Short connections a second")
    for rate in rates:
        much = "no ceiling known" if rate.per_second is None else f"{count(rate.per_second)} a second"
        yield indented(line(f"{clean(rate.limit)}: {much}"))
        yield from _said("raise", rate.raise_with, "green")
        yield from _said("note", rate.note, "dim")
