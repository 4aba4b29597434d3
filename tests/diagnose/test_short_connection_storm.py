from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.records import RunResult


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.storm(), "confirmed"),
        (runs.storm(1.0), "confirmed"),  # the second SYN leaves at 1 s: too late
        (runs.storm(1.01), "ruled_out"),
        (runs.storm(3.0), "ruled_out"),
        (runs.storm(failures=[]), "ruled_out"),
        (runs.storm().replace(command="hold"), "ruled_out"),
        (runs.storm(server=runs.local()), "ruled_out"),
        (runs.storm(server=runs.remote()), "possible"),
        # A burst is more clients at once than the 129 that fit. Connects at a rate come one by one.
        (runs.storm(config={"connections": 130, "timeout_s": 0.5}), "confirmed"),
        (runs.storm(config={"connections": 129, "timeout_s": 0.5}), "ruled_out"),
        (runs.storm(config={"connections": 200, "timeout_s": 0.5, "rate_per_s": 900.0}), "ruled_out"),
        (runs.healthy_churn(), "ruled_out"),
    ],
)
def test_a_storm_of_short_connections(run: RunResult, expected: str) -> None:
    assert alone("short_connection_storm", run).verdict == expected


def test_a_storms_remedies_are_the_reports() -> None:
    found = alone("short_connection_storm", runs.storm()).remedies
    works = [r.command for r in found if r.works]
    assert works[0].startswith("keep connections open")
    assert works[1].startswith("--timeout 3")
    assert any("somaxconn=" in command for command in works)
