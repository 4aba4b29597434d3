from __future__ import annotations

import math

import pytest

from estab.report import words


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "-"),
        (math.nan, "-"),
        (math.inf, "-"),
        (0.0, "0.00 us"),
        (0.000_007_05, "7.05 us"),
        (0.000_061, "61.0 us"),
        (0.000_999_6, "1.00 ms"),
        (0.002, "2.00 ms"),
        (0.0122, "12.2 ms"),
        (0.999_4, "999 ms"),
        (0.999_6, "1.00 s"),
        (1.012, "1.01 s"),
        (131.07, "131 s"),
        (86_400.0, "86,400 s"),
    ],
)
def test_seconds(value: float | None, said: str) -> None:
    assert words.seconds(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "-"), (64, "64 B"), (999, "999 B"), (1000, "1.0 kB"), (127_724_440.0, "127.7 MB"), (3.2e15, "3,200.0 TB")],
)
def test_size(value: float | None, said: str) -> None:
    assert words.size(value) == said


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(0, 0, ""), (0, 400, "0%"), (1, 40_000, "1%"), (399, 400, "99%"), (400, 400, "100%"), (129, 400, "32%")],
)
def test_all_or_nothing_only_where_it_is(part: int, whole: int, said: str) -> None:
    assert words.percent(part, whole) == said


def test_clean_keeps_what_can_be_printed() -> None:
    assert words.clean("a\x1b[2J\nb é 連") == "a [2J b é 連"
