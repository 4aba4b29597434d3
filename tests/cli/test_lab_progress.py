"""The status line of several scenarios: each has its share of the terminal, and what is over is counted."""

from __future__ import annotations

import pytest

from estab.cli.lab_progress import Standing


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_one_scenario_stands_alone() -> None:
    assert Standing(["healthy"]).told("healthy", "running") == "healthy  ·  running"


def test_two_side_by_side_share_the_line() -> None:
    standing = Standing(["path_flow_table_full", "healthy", "short_connection_storm"])
    remedy = "remedy 1 of 3: a bigger table: instance type, the router's nf_conntrack_max"
    line = standing.told("path_flow_table_full", remedy)
    assert line == f"0 of 3 over  ·  path_flow_table_full: {remedy}"[:78] + "…"
    line = standing.told("healthy", "running")
    assert line == "0 of 3 over  ·  path_flow_table_full: remedy 1 of 3  ·  healthy: running"
    standing.told("healthy", "over")
    line = standing.told("short_connection_storm", "more figures")
    assert line == "1 of 3 over  ·  path_flow_table_full: remedy…  ·  short_connection_storm: more…"


def test_what_is_over_is_counted_and_gone() -> None:
    standing = Standing(["healthy", "cookie_reset"])
    assert standing.told("the wire", "measuring itself") == "0 of 2 over  ·  the wire: measuring itself"
    assert standing.told("the wire", "over") == "0 of 2 over"
    standing.told("healthy", "running")
    standing.told("cookie_reset", "running")
    assert standing.told("healthy", "over") == "1 of 2 over  ·  cookie_reset: running"
    assert standing.told("cookie_reset", "over") == "2 of 2 over"
