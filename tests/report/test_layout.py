"""Bars and sparklines: what is more than nothing is seen, and only the whole fills a bar. Names with texts beside."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from estab.report.layout import ASCII, UNICODE, Beside, bar, beside, indented, sparkline
from estab.report.trimmed import print_trimmed


@pytest.mark.parametrize(
    ("share", "drawn"),
    [(-1, ""), (0, ""), (0.001, "▏"), (0.3, "█▏"), (0.5, "██"), (0.999, "███▉"), (1, "████"), (3, "████")],
)
def test_a_bar(share: float, drawn: str) -> None:
    assert bar(share, 4, UNICODE) == drawn
    assert bar(share, 4, UNICODE, track=True) == drawn.ljust(4, "░")


@pytest.mark.parametrize(("share", "drawn"), [(0.0, "...."), (0.001, "#..."), (0.99, "###."), (1.0, "####")])
def test_a_bar_in_ascii(share: float, drawn: str) -> None:
    assert bar(share, 4, ASCII, track=True) == drawn


@pytest.mark.parametrize("width", [0, -1])
def test_a_bar_without_room(width: int) -> None:
    assert bar(1.0, width, UNICODE, track=True) == ""


@pytest.mark.parametrize(
    ("values", "drawn"), [([], ""), ([0.0, 0.0], "▁▁"), ([1.0, 8.0], "▂█"), ([5.0], "█"), ([0.0, 0.1, 9.0], "▁▂█")]
)
def test_a_sparkline(values: list[float], drawn: str) -> None:
    assert sparkline(values, UNICODE) == drawn


def test_a_sparkline_beneath_a_top() -> None:
    assert sparkline([0, 1, 4, 8, 9], UNICODE, 8) == "▁▂▅██"


ROWS = [
    (Text("ruled out", style="green"), Text.assemble("a_cause", ("  what was seen of it, in words", "dim"))),
    (
        Text("可能", style="yellow"),
        Text("全角の文字は二桁を取る two lines\nof which the second is longer than the first"),
    ),
    (Text(""), Text("")),
    (Text("x"), Text("a-word-that-is-longer-than-a-narrow-console-has-columns-for and more", style="bold")),
]


def printed(width: int, *parts: Beside | Table) -> str:
    out = io.StringIO()
    print_trimmed(Console(file=out, width=width, force_terminal=True, color_system="standard", _environ={}), *parts)
    return out.getvalue()


@pytest.mark.parametrize("width", [20, 33, 80, 200])
def test_names_with_texts_beside_are_laid_out_as_richs_table(width: int) -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for row in ROWS:
        table.add_row(*row)
    assert printed(width, Beside(ROWS, gap=2, indent=0)) == printed(width, table)


@pytest.mark.parametrize("width", range(1, 20))
def test_a_console_with_no_room_for_names_has_them_cut(width: int) -> None:
    out = io.StringIO()
    print_trimmed(Console(file=out, width=width), indented(beside(ROWS, indent=2)))
    lines = out.getvalue().splitlines()
    assert lines
    assert max(map(cell_len, lines)) <= width
    if width >= 6:  # two indents, the gap, and a column each
        assert "…" in out.getvalue()
