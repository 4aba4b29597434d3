"""Moments as they are typed: a time of day is the last one before the end, or the first one after --since."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from estab.errors import UsageError
from estab.recording.moments import Span, has_a_day, moment

END = datetime(2026, 11, 26, 6, 0, 0, tzinfo=UTC).timestamp()


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("02:13", "2026-11-26T02:13:00"),
        ("02:13:04", "2026-11-26T02:13:04"),
        ("22:00", "2026-11-25T22:00:00"),
        ("06:00", "2026-11-26T06:00:00"),
        ("06:01", "2026-11-25T06:01:00"),
        ("2026-11-20", "2026-11-20T00:00:00"),
        ("2026-11-26T03:00", "2026-11-26T03:00:00"),
        ("2026-11-26 03:00", "2026-11-26T03:00:00"),
        ("2026-11-26T03:00+01:00", "2026-11-26T02:00:00"),
        ("2026-11-26T03:00Z", "2026-11-26T03:00:00"),
    ],
)
def test_a_moment(text: str, expected: str) -> None:
    assert moment(text, END) == at(expected)


@pytest.mark.parametrize(
    ("since", "until", "expected"), [("22:00", "02:00", "26T02:00"), ("22:00", "22:00", "25T22:00")]
)
def test_until_comes_after_since(since: str, until: str, expected: str) -> None:
    assert moment(until, END, after_s=moment(since, END)) == at(f"2026-11-{expected}:00")


@pytest.mark.parametrize("text", ["", "9", "24:00", "12:60", "12:00:60", "yesterday", "2026-13-01", "-2h"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(UsageError, match="is no moment; write it as 02:13"):
        moment(text, END)


def test_of_a_time_of_day_alone_the_day_is_not_known() -> None:
    assert not has_a_day(" 02:13 ")
    assert has_a_day("2026-11-26T02:13")


def test_a_span_holds_its_ends() -> None:
    span = Span(10.0, 20.0)
    assert [span.holds(at_s) for at_s in (9.9, 10.0, 20.0, 20.1, float("nan"))] == [False, True, True, False, False]
    assert Span().holds(float("nan"))
