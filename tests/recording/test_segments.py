"""Which files are segments, which of them go, and which are read."""

from __future__ import annotations

import pytest

from estab.recording.segments import Segment, name_of, outdated, segments, within

AT = 1_795_658_400.25  # 2026-11-26 02:00:00.250 UTC
HOURS = [Segment(AT + 3600 * number, str(number), 100) for number in range(5)]
NOW = AT + 3600 * 5


def test_names_say_when_a_segment_was_begun_and_sort_by_it() -> None:
    names = [name_of(AT), name_of(AT, 1), name_of(AT + 86_400)]
    assert names[0] == "estab-20261126T020000.250Z.ndjson.gz"
    found = segments([*((name, 7) for name in reversed(names)), ("notes.txt", 1), (".writer", 1), (names[0] + "~", 1)])
    assert {segment.name for segment in found} == set(names)
    assert [segment.from_s for segment in found] == [AT, AT, AT + 86_400]


def test_a_name_that_is_no_date_is_the_oldest() -> None:
    assert segments([("estab-20269999T999999.000Z.ndjson.gz", 1)])[0].from_s == 0.0


@pytest.mark.parametrize(
    ("keep_s", "max_bytes", "gone"),
    [
        (1e9, 1e9, 0),
        (1e9, 500, 0),
        (1e9, 499, 1),
        (1e9, 0, 5),
        (3600 * 4 + 1, 1e9, 0),  # the first ended four hours ago
        (3600 * 4, 1e9, 1),
        (3600, 1e9, 4),
        (3600 * 3, 100, 4),
    ],
)
def test_what_is_too_old_goes_and_what_is_too_much(keep_s: float, max_bytes: float, gone: int) -> None:
    assert outdated(HOURS, NOW, keep_s, int(max_bytes)) == HOURS[:gone]


@pytest.mark.parametrize(
    ("since", "until", "read"),
    [
        (None, None, "01234"),
        (AT + 4000, None, "1234"),
        (None, AT + 4000, "01"),
        (AT + 4000, AT + 7300, "12"),
        (NOW, None, "4"),
    ],
)
def test_only_segments_that_may_hold_it_are_read(since: float | None, until: float | None, read: str) -> None:
    assert "".join(segment.name for segment in within(HOURS, since, until)) == read
