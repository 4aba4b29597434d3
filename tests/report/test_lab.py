"""The lab's tables at 80 columns: every word whole, no blank at a line's end, no command line wrapped."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from estab.records.lab import LabCeiling, LabHost, LabInside, LabRemedy, LabResult, LabRow, LabScenario, LabWire
from estab.report.answer.lab import answer_end
from estab.report.lab import render_end, render_scenario
from estab.report.lab_inside import render_inside

ROWS = [LabRow(what="ghosts", predicted="1", measured="1", agrees=True)] * 15
REMEDIES = [LabRemedy(command="listen(fd, 1024)", claimed=True, works=True)] * 3


def scenario(name: str, cause: str | None, expected: str | None) -> LabScenario:
    return LabScenario(
        name=name, symptom="", side="server", status="as_predicted" if cause == expected else "differs", cause=cause,
        expected=expected, rows=ROWS, remedies=REMEDIES, control_ran=True,
    )  # fmt: skip


def printed(width: int, contained: bool | None = True) -> str:
    out = io.StringIO()
    result = LabResult(
        scenarios=[
            scenario("time_wait_port_exhaustion", "time_wait_port_exhaustion", "time_wait_port_exhaustion"),
            scenario("backlog_plus_one", "server_not_accepting", "server_not_accepting"),
            scenario("healthy", None, None),
            scenario("cookie_reset", "accept_queue_overflow", "cookie_reset"),
        ],
        wire=LabWire(added_us=10, added_p99_us=30, packets_per_s=200_000), euid=0, seconds=100, contained=contained,
    )  # fmt: skip
    render_end(result, Console(file=out, width=width))
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_at_the_end(width: int) -> None:
    text = printed(width)
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert rows["time_wait_port_exhaustion"] == ["as", "predicted", "confirmed", "15/15", "3/3", "clean"]
    assert rows["backlog_plus_one"] == ["as", "predicted", "confirmed", "15/15", "3/3", "clean"]
    assert rows["healthy"] == ["as", "predicted", "none", "15/15", "3/3", "clean"]
    assert rows["cookie_reset"][0] == "differs"
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert [line for line in text.splitlines() if line != line.rstrip()] == []
    assert "3 of 4 scenarios as predicted, as root" in text


@pytest.mark.parametrize(("kernel", "said"), [("6.18.44-x", False), ("6.5.0-9-generic", True), ("", False)])
def test_a_kernel_that_was_not_measured_is_named_in_one_line(kernel: str, said: bool) -> None:
    for render in (render_end, answer_end):
        out = io.StringIO()
        render(LabResult(scenarios=[scenario("healthy", None, None)], kernel=kernel), Console(file=out, width=120))
        lines = [line for line in out.getvalue().splitlines() if "was not measured: its rules are extrapolated" in line]
        assert len(lines) == said


def test_a_sweep_is_a_table_of_sizes_and_ceilings() -> None:
    out = io.StringIO()
    ceilings = [
        LabCeiling(size=1000, predicted=1000, found=1000),
        LabCeiling(size=2000, predicted=2000, found=1999),
        LabCeiling(size=4000, predicted=4000, found=None),
    ]
    render_scenario(
        scenario("path_flow_table_full", None, None).replace(ceilings=ceilings), Console(file=out, width=80)
    )
    assert [line.split() for line in out.getvalue().splitlines()[3:7]] == [
        ["size", "set", "ceiling", "found"],
        ["1,000", "1,000"],
        ["2,000", "1,999", "predicted", "2,000"],
        ["4,000", "not", "measured", "predicted", "4,000"],
    ]
    assert "ghosts" not in out.getvalue()


def test_it_says_where_daemons_are_not_contained() -> None:
    assert "PID namespace" in printed(80, contained=False)
    assert "PID namespace" not in printed(80, contained=True) + printed(80, contained=None)


def test_command_lines_are_never_wrapped() -> None:
    out = io.StringIO()
    enter = ["nsenter", "--preserve-credentials", "-U", "-n", "-t", "4194303"]
    hosts = [LabHost(name=name, pid=4194303, enter=enter, address="10.77.0.1") for name in ("client", "server")]
    render_inside(LabInside(scenario="cookie_reset", hosts=hosts, port=5000), Console(file=out, width=40))
    lines = [line.strip() for line in out.getvalue().splitlines()]
    start = "nsenter --preserve-credentials -U -n -t 4194303 "
    assert f"{start}ss -tlnp" in lines
    assert f"{start}nstat -asz TcpExtListenOverflows TcpExtListenDrops" in lines
    assert sum(line.startswith(start) for line in lines) == 6
