"""Bars and sparklines: what is more than nothing is seen, and only the whole fills a bar."""

from __future__ import annotations

import pytest

from estab.report.layout import ASCII, UNICODE, bar, sparkline


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
