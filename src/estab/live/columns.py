"""The table of listeners: its columns, which of them fit, and each row as styled text. Pure; used by both outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from estab.kernel.formats.endpoint import is_unix
from estab.kernel.rules import accept_queue
from estab.live.judgement import DISTRESS, rate
from estab.live.view import HostView, ListenerRow
from estab.report.layout import UNICODE, Glyphs, bar, sparkline
from estab.report.words import DASH, clean, count

GAP = 1
BY_SEVERITY = ("dim", "", "yellow", "yellow", "bold red", "bold red")

Cell = tuple[str, str]  # text and its style
Line = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `keep`: the greater, the longer it stays where it gets narrow. `grow`: its share of what is left."""

    name: str
    title: str
    width: int
    cell: Callable[[ListenerRow, int, Glyphs], Cell]
    right: bool = False
    keep: int = 0
    grow: int = 0
    most: int = 0


@dataclass(frozen=True, slots=True)
class PlacedColumn:
    """A column with the width that it got."""

    column: Column
    width: int


def where(address: str, port: int) -> str:
    """A listener's address as people write it: `*:80`, `[::1]:80`, `unix:/run/app.sock`."""
    if is_unix(address):
        return clean(address)
    host = {"0.0.0.0": "*", "::": "[::]"}.get(address, f"[{address}]" if ":" in address else address)
    return f"{clean(host)}:{port}"


def process_words(row: ListenerRow) -> str:
    """The owner, `nginx 4711`, with how many more there are; a dash where it is not known."""
    return _process(row, 200, UNICODE)[0]


def _process(row: ListenerRow, width: int, glyphs: Glyphs) -> Cell:
    """The owner, `nginx 4711`, with how many more there are; where it is narrow the name is cut, never the PID."""
    if not row.owners:
        return DASH, "dim"
    first = row.tightest or row.owners[0]
    number = f" {first.pid}" + (f" +{len(row.owners) - 1}" if len(row.owners) > 1 else "")
    name, room = clean(first.name or "?"), width - len(number)
    return (name if len(name) <= room else name[: max(0, room - len(glyphs.cut))] + glyphs.cut) + number, ""


def _service(row: ListenerRow, width: int, glyphs: Glyphs) -> Cell:
    """What its owner belongs to; where it is narrow a pod without its namespace."""
    service = row.service
    if service is None:
        return DASH, "dim"
    name = clean(service.short)
    return (name if len(name) <= width else name.rpartition("/")[2]), ""


def _trend(row: ListenerRow, width: int, glyphs: Glyphs) -> Cell:
    """Its depth at the last looks, the newest at the right, as high as the queue is full."""
    fits = accept_queue.room(row.limit)
    return sparkline(row.trend[-width:], glyphs, fits).rjust(width), _level(max(row.trend[-width:], default=0) / fits)


def _listener(row: ListenerRow, width: int, glyphs: Glyphs) -> Cell:
    text = where(row.address, row.port)
    if len(text) > width:  # the port, or the file's name, is what people look for: the middle goes
        end = text[-max(1, width - len("unix:") - len(glyphs.cut)) :] if is_unix(row.address) else f":{row.port}"
        text = text[: max(0, width - len(end) - len(glyphs.cut))] + glyphs.cut + end
    return text, "bold" if row.judgement.severity >= DISTRESS else ""


def _queue(row: ListenerRow, width: int, glyphs: Glyphs) -> Cell:
    return bar(row.fill, width, glyphs, track=True), _level(row.fill)


def _level(fill: float) -> str:
    return "red" if fill >= 1 else "yellow" if fill >= 0.7 else "green" if fill > 0 else "dim"


def _fds(row: ListenerRow, _width: int, _glyphs: Glyphs) -> Cell:
    tightest = row.tightest
    if tightest is None:
        return DASH, "dim"
    fill = (tightest.fds or 0) / (tightest.nofile_soft or 1)
    return (f"{fill:.0%}" if fill >= 1 else f"{min(99, fill * 100):.0f}%"), _level(fill) if fill >= 0.7 else ""


def _growth(row: ListenerRow, _width: int, _glyphs: Glyphs) -> Cell:
    value = row.growth_per_s
    if value is None:
        return DASH, "dim"
    if abs(value) < 0.05:
        return "0", "dim"
    return f"{'+' if value > 0 else '-'}{rate(abs(value))}", "yellow" if value > 0 else ""


def _drops(row: ListenerRow, _width: int, _glyphs: Glyphs) -> Cell:
    if row.drops_per_s is None:
        return DASH, "dim"
    return (rate(row.drops_per_s), "bold red") if row.drops_per_s else ("0", "dim")


def _text(get: Callable[[ListenerRow], Cell]) -> Callable[[ListenerRow, int, Glyphs], Cell]:
    return lambda row, _width, _glyphs: get(row)


def _style(row: ListenerRow) -> str:
    return BY_SEVERITY[row.judgement.severity]


COLUMNS = (
    Column("listener", "LISTENER", 17, _listener, keep=12, grow=2, most=48),
    Column("netns", "NETNS", 8, _text(lambda row: (clean(row.netns) or "own", "")), keep=6, grow=1, most=16),
    Column("process", "PROCESS", 12, _process, keep=7, grow=2, most=28),
    Column("service", "BELONGS TO", 10, _service, keep=5, grow=2, most=36),
    Column("queue", "QUEUE", 8, _queue, keep=9, grow=2, most=24),
    Column("trend", "TREND", 12, _trend, keep=1, grow=3, most=60),
    Column("depth", "DEPTH/LIMIT", 11, _text(lambda row: (f"{row.depth:,}/{row.limit:,}", "")), right=True, keep=11),
    Column("worst", "WORST", 6, _text(lambda row: (count(row.worst), "")), right=True, keep=4),
    Column("growth", "GROWTH/s", 8, _growth, right=True, keep=2),
    Column("drops", "DROPS/s", 7, _drops, right=True, keep=8),
    Column("fds", "FDS", 4, _fds, right=True, keep=3),
    Column("state", "STATE", 8, _text(lambda row: (row.judgement.word, _style(row))), keep=10),
    Column("says", "JUDGEMENT", 30, _text(lambda row: (row.judgement.says, _style(row))), keep=0, grow=8, most=90),
)


def fit(width: int, view: HostView | None, *, trend: bool = True) -> list[PlacedColumn]:
    """The columns that fit `width` characters, in their order; the most needed one stays however narrow it is.

    What says nothing of this `view` is left out: namespaces where there is one, services where no owner is of any.
    """
    namespaces = view is not None and len(view.namespaces) > 1
    services = view is not None and any(row.service is not None for row in view.rows)
    left_out = [name for name, shown in (("netns", namespaces), ("service", services), ("trend", trend)) if not shown]
    chosen = [column for column in COLUMNS if column.name not in left_out]
    while len(chosen) > 1 and _needed(chosen) > width:
        chosen.remove(min(chosen, key=lambda column: column.keep))
    widths = {column.name: min(column.width, max(1, width)) for column in chosen}
    left = width - _needed(chosen)
    growers = [column for column in chosen if column.grow]
    while left > 0 and growers:
        shares = sum(column.grow for column in growers)
        for column in growers:
            more = min(max(1, left * column.grow // shares), column.most - widths[column.name], left)
            widths[column.name] += more
            left -= more
        growers = [column for column in growers if widths[column.name] < column.most]
    return [PlacedColumn(column, widths[column.name]) for column in chosen]


def _needed(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)


def heading(columns: Sequence[PlacedColumn], sorted_by: str = "", down: bool = True) -> Line:
    """The titles; the one that the rows are sorted by is marked."""
    cells = []
    for placed in columns:
        title, width = placed.column.title, placed.width
        mine = placed.column.name == sorted_by
        if mine and len(title) < width - 1:
            title += " v" if down else " ^"
        cells.append((_fixed(title, width, placed.column.right, UNICODE), "bold underline" if mine else "bold"))
    return _spaced(cells)


def line(row: ListenerRow, columns: Sequence[PlacedColumn], glyphs: Glyphs) -> Line:
    """One listener."""
    cells = []
    for placed in columns:
        text, style = placed.column.cell(row, placed.width, glyphs)
        cells.append((_fixed(text, placed.width, placed.column.right, glyphs), style))
    return _spaced(cells)


def _spaced(cells: Sequence[Cell]) -> Line:
    spaced: list[Cell] = []
    for number, cell in enumerate(cells):
        spaced += [(" " * GAP, ""), cell] if number else [cell]
    return tuple(spaced)


def _fixed(text: str, width: int, right: bool, glyphs: Glyphs) -> str:
    if len(text) > width:
        return text[: max(0, width - len(glyphs.cut))] + glyphs.cut[:width]
    return text.rjust(width) if right else text.ljust(width)
