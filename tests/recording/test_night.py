"""A recorded night: all that went wrong is found, to the second, with what came of it; nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.recording.nights import DUSK, INCIDENTS, night

from estab.diagnose.episodes import judge_recording
from estab.recording import reading
from estab.recording.moments import Span
from estab.recording.writer import RecordingDirectory
from estab.records import Episodes


def written(path: Path, step_s: int) -> int:
    """The night in a directory; its size in bytes."""
    with RecordingDirectory(str(path), keep_s=7 * 86_400, max_bytes=500 << 20) as into:
        for taken in night(step_s):
            into.write([taken])
    return sum(file.stat().st_size for file in path.glob("estab-*"))


def told(recording: Episodes) -> list[tuple[str, float, float, str, float | None, int]]:
    return [
        (each.cause, each.from_s - DUSK, each.to_s - DUSK, each.next, (each.next_s or DUSK) - DUSK, each.drops or 0)
        for each in recording.episodes
    ]


EXPECTED = [(each.cause, each.from_s, each.to_s, each.next, each.next_s or each.to_s, each.drops) for each in INCIDENTS]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("night")
    written(path, 60)
    return str(path)


def test_all_five_incidents_are_found_to_the_second_and_none_is_invented(recorded: str) -> None:
    found = judge_recording(reading.snapshots([recorded]))
    assert told(found) == EXPECTED
    assert [(each.place, each.port, each.program) for each in found.episodes] == [
        ("listener", 8080, "gunicorn"),
        ("listener", 443, "nginx"),
        ("listener", 443, "nginx"),
        ("host", None, None),
        ("target", 5432, None),
    ]


def test_a_part_of_the_night_has_its_part_of_them(recorded: str) -> None:
    span = Span(DUSK + INCIDENTS[1].to_s + 1, DUSK + INCIDENTS[3].to_s + 30)
    assert told(judge_recording(reading.snapshots([recorded], (), span))) == EXPECTED[2:4]
