"""The ladder of limits on one screen: how many more connections there can be, and the five tightest limits."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from estab.records import Limit, Limits
from estab.report.answer.shape import WIDTH, Tone, headline, plain_headline
from estab.report.ladder import about
from estab.report.layout import Glyphs, columns, glyphs_for, indented, line
from estab.report.trimmed import print_trimmed
from estab.report.words import clean, count
from estab.words import plural

_TIGHTEST = 5


def answer_limits(limits: Limits, console: Console) -> None:
    """Prints the answer."""
    print_trimmed(console, *_parts(limits, glyphs_for(console)))


def brief_limits(limits: Limits, glyphs: Glyphs) -> str:
    """The answer in one line."""
    return plain_headline(*_answer(limits), glyphs)


def _answer(limits: Limits) -> tuple[Tone, str, str]:
    where = clean(f"to {limits.target}" if limits.target else "from this host")
    if limits.binding is None or not limits.limits:
        return "unsure", "", "No limit could be read."
    first = limits.limits[0]
    name = f"{clean(limits.binding)} ({first.side})"
    if first.capacity_connections == 0:
        return "bad", name, f"is met: not one connection more {where}"
    more = plural(first.capacity_connections or 0, "more connection")
    return "good", "", f"{more} {where}, then {name} is met"


def _parts(limits: Limits, glyphs: Glyphs) -> Iterator[RenderableType]:
    yield headline(*_answer(limits), glyphs)
    if limits.why_server_unobserved and limits.target:
        yield indented(line(f"The server's side was not seen: {clean(limits.why_server_unobserved)}", style="yellow"))
    known = [limit for limit in limits.limits if limit.capacity_connections is not None]
    if known:
        yield indented(_table(known[:_TIGHTEST], glyphs))
    yield indented(line(glyphs.dot.join(_rest(limits, len(known))), style="dim"))


def _table(limits: list[Limit], glyphs: Glyphs) -> Table:
    """A line each; what raises it is cut to the room that the others leave."""
    table = columns(header=True)
    table.add_column("allows more", justify="right", no_wrap=True)
    for name in ("limit", "at", "raise it with"):
        table.add_column(name, no_wrap=True, style="green" if name == "raise it with" else "")
    room = max(8, WIDTH - 32 - max(len(limit.limit) for limit in limits))
    for limit in limits:
        allowed = Text(about(limit.limit, limit.capacity_connections or 0))
        allowed.stylize("bold red" if limit.capacity_connections == 0 else "")
        first = clean((limit.raise_with or "").partition(";")[0])
        raised = first if len(first) <= room else first[: room - len(glyphs.cut)] + glyphs.cut
        table.add_row(allowed, Text(clean(limit.limit)), limit.side, Text(raised))
    return table


def _rest(limits: Limits, known: int) -> Iterator[str]:
    if known > _TIGHTEST:
        yield f"and {known - _TIGHTEST} wider"
    if unknown := len(limits.limits) - known:
        yield f"{unknown} not known"
    rates = [rate.per_second for rate in limits.rates if rate.per_second is not None]
    if rates:
        yield f"{count(min(rates))} short connections/s"
    yield "-v shows all"
