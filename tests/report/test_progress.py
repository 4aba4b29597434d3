"""What is drawn while a load runs: how far, how fast, how well, in three lines."""

from __future__ import annotations

from typing import Any

import pytest
from tests.diagnose.runs import point

from estab.records import TimelinePoint
from estab.records.timeline import Spread
from estab.report.layout import ASCII, UNICODE
from estab.report.progress import Line, LoadProgress, SearchProgress


def text(lines: list[Line]) -> list[str]:
    return ["".join(part for part, _style in line) for line in lines]


def spread(p50: float, p99: float) -> Spread:
    return Spread(over_s=0.1, count=9, p50=p50, p90=p50, p99=p99, max=p99)


def after(load: LoadProgress, *points: TimelinePoint, stage: str = "running", closed: int = 0) -> list[str]:
    for each in points[:-1]:
        load.lines(stage, each, closed, UNICODE)
    return text(load.lines(stage, points[-1], closed, UNICODE))


def test_a_bench_halfway() -> None:
    load = LoadProgress("bench", "bench", 100, 4.0)
    fields: dict[str, Any] = {"connected": 100, "open": 100, "queue_depth": 3, "queue_limit": 16}
    lines = after(
        load,
        *(point(t / 2, requests=t * 500 * (1 + t), **fields) for t in range(4)),
        point(2.0, requests=10_000, request_us=spread(398.0, 5600.0), **fields),
    )
    assert lines == [
        "bench  running      ████████████░░░░░░░░░░░░  50%  2.0 s left",
        "  8,000 requests/s  ▃▅▆█  p50 398 µs  p99 5.60 ms",
        "  100 connected  100 open  0 failed  queue 3 of 17 places",
    ]


def test_a_hold_ramps_and_then_holds() -> None:
    load = LoadProgress("hold", "hold", 1000, 10.0)
    ramp = [point(t, attempted=1000, connected=t * 250, open=t * 250, failed=1) for t in range(3)]
    assert after(load, *ramp, stage="connecting") == [
        "hold  connecting    ████████████░░░░░░░░░░░░  50%  2.0 s left",
        "  250 connects/s  ██",
        "  500 of 1,000 connected  500 open  1 failed",
    ]
    held = after(load, point(5.0, connected=1000, open=1000), point(10.0, connected=1000, open=1000))
    assert held[0] == "hold  holding       ████████████░░░░░░░░░░░░  50%  5.0 s left"
    closing = after(load, point(16.0, connected=1000, open=250), stage="closing", closed=750)
    assert closing[0] == "hold  closing       ██████████████████░░░░░░  75%"


def test_churn_counts_connects_and_knows_its_bound() -> None:
    load = LoadProgress("churn", "churn", 400, 10.0)
    lines = after(load, point(0.0), point(1.0, attempted=300, connected=300, requests=300))
    assert lines[0].endswith(" 75%  9.0 s left")
    assert lines[1].startswith("  300 connects/s")


def test_failures_and_a_full_queue_are_seen() -> None:
    lines = LoadProgress("hold", "hold", 9, 1.0).lines(
        "connecting", point(1.0, failed=2, queue_depth=17, queue_limit=16), 0, UNICODE
    )
    styles = {part.strip(): style for part, style in lines[2]}
    assert styles["2 failed"] == "red"
    assert styles["queue 17 of 17 places"] == "red"


def test_a_search_shows_its_last_attempts() -> None:
    search = SearchProgress(lambda number: LoadProgress(f"attempt {number}", "hold", 0, None))
    for number in range(1, 7):
        search.stepped(f"{number * 100} held")
    lines = text(search.lines("connecting", point(1.0, connected=50), 0, UNICODE))
    assert lines[:6] == ["  2 before", *(f"  {n * 100} held" for n in range(3, 7)), "attempt 7  connecting  1.0 s"]


@pytest.mark.parametrize("left_s", [0.0, 9.4, 9.6, 100.0, 1000.0])
def test_no_line_is_wider_than_a_terminal_and_all_can_be_ascii(left_s: float) -> None:
    load = LoadProgress("run 10 of 10, bench", "bench", 1_000_000, 1000.0)
    busy = point(
        1000.0 - left_s, connected=1_000_000, open=1_000_000, failed=0, requests=10**9, queue_depth=65_536,
        queue_limit=65_535, request_us=spread(123.0, 123_000.0),
    )  # fmt: skip
    for line in text(load.lines("running", busy, 0, ASCII)):
        assert len(line) < 80
        assert line.isascii()
