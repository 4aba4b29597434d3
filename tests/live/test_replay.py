"""A replay of a long recording: an hour of it, from the moment that was asked for."""

from __future__ import annotations

import pytest
from tests.diagnose.test_snapshots import moment

from estab.errors import UsageError
from estab.live.replay import recorded_around
from estab.recording.writer import RecordingDirectory

NOON = 1_795_694_400.0  # 2026-11-26 12:00:00 UTC


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A snapshot every five minutes, from noon to six."""
    path = tmp_path_factory.mktemp("day")
    with RecordingDirectory(str(path), keep_s=1e6, max_bytes=1 << 26) as into:
        for at_s in range(0, 6 * 3600 + 1, 300):
            into.write([moment(NOON + at_s)])
    return str(path)


def hours(day: str, at: str | None) -> tuple[float, float, int]:
    """When the first and the last round were, in hours of the day, and how many come before the moment."""
    rounds, before = recorded_around(day, at)
    return 12 + (rounds[0][0].taken_at_s - NOON) / 3600, 12 + (rounds[-1][0].taken_at_s - NOON) / 3600, before


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (None, (17, 18, 0)),
        ("14:10", (14, 15, 2)),
        ("2026-11-26T14:10", (14, 15, 2)),
        ("12:00", (12, 12 + 50 / 60, 0)),
        ("18:00", (17 + 50 / 60, 18, 2)),
    ],
)
def test_it_is_an_hour_around_the_moment(day: str, at: str | None, expected: tuple[float, float, int]) -> None:
    assert hours(day, at) == pytest.approx(expected)


def test_a_moment_of_which_there_is_nothing(day: str) -> None:
    with pytest.raises(UsageError, match=r"`at` 2026-11-27 .* is not in .*: nothing was recorded then"):
        recorded_around(day, "2026-11-27")
