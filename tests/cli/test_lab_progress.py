"""What is drawn while scenarios run: a line for each that does, and how many are over."""

from __future__ import annotations

from estab.cli.lab_progress import Standing
from estab.report.layout import UNICODE
from estab.report.progress import Line


def text(lines: list[Line]) -> list[str]:
    return ["".join(part for part, _style in line) for line in lines]


def test_one_scenario_stands_alone() -> None:
    assert text(Standing(["healthy"], UNICODE).told("healthy", "running")) == ["  healthy  running"]


def test_two_side_by_side_have_a_line_each() -> None:
    standing = Standing(["path_flow_table_full", "healthy"], UNICODE)
    remedy = "remedy 1 of 3: a bigger table: instance type, the router's nf_conntrack_max"
    standing.told("path_flow_table_full", remedy)
    assert text(standing.told("healthy", "running")) == [
        "░" * 24 + " 0 of 2 scenarios",
        f"  path_flow_table_full  {remedy}",
        "  healthy               running",
    ]


def test_what_is_over_is_counted_and_gone() -> None:
    standing = Standing(["healthy", "cookie_reset"], UNICODE)
    assert text(standing.told("the wire", "measuring itself"))[1:] == ["  the wire  measuring itself"]
    assert text(standing.told("the wire", "over")) == ["░" * 24 + " 0 of 2 scenarios"]
    standing.told("healthy", "running")
    standing.told("cookie_reset", "running")
    assert text(standing.told("healthy", "over")) == [
        "█" * 12 + "░" * 12 + " 1 of 2 scenarios",
        "  cookie_reset  running",
    ]
    assert text(standing.told("cookie_reset", "over")) == ["█" * 24 + " 2 of 2 scenarios"]
