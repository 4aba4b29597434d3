"""docs/speed.md: its tables and plots from recorded figures, and the arithmetic beside them. Nothing here is timed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import cases, matrix, pages, parse, profile, stalls, table
from benchmarks.__main__ import chosen

PAGE = Path(__file__).resolve().parents[1] / "docs" / "speed.md"
PERF = """# Overhead  Symbol
    12.00%    71:python   [k] tcp_sendmsg_locked
     3.00%    72:python   [k] tcp_sendmsg_locked
     5.00%    72:python   [.] serve
    60.00%    70:python   [.] _PyEval_EvalFrameDefault
"""
SOCKPERF = "sockperf: [Valid Duration] RunTime=0.500 sec; SentMessages=8486; ReceivedMessages=8485\n"
TCPKALI = [(1.0, "Using interface lo to connect to [127.0.0.1]:1"), (1.5, "Ramped up to 5000 connections.")]
POINT = {"connections": 10_000.0, "census_s": 0.01, "ss_s": 0.05, "kernel_bytes": 3800.0, "cpu_us_client": 4.0}


def test_what_the_other_peers_print() -> None:
    assert parse.netperf_rate("144497.57 \n\n") == 144497.57
    assert parse.sockperf_rate(SOCKPERF) == 16970
    assert parse.tcpkali_seconds(TCPKALI, 5000) == 0.5


@pytest.mark.parametrize("text", ["", "netperf: no\n", "0.00\n"])
def test_netperf_without_a_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"it said|is no rate"):
        parse.netperf_rate(text)


def test_tcpkali_that_opened_too_few_says_so() -> None:
    with pytest.raises(ValueError, match=r"did not open 6,000 connections.*Ramped up to 5000"):
        parse.tcpkali_seconds(TCPKALI, 6000)


@pytest.mark.parametrize(("percentile", "ms"), [(50, 0), (90, 0), (95, 500), (99, 900), (99.9, 990), (100, 1000)])
def test_what_a_pause_of_one_second_in_ten_does_to_percentiles(percentile: float, ms: float) -> None:
    assert stalls.expected_ms(percentile) == pytest.approx(ms)


def test_without_names_all_but_the_matrix_is_measured() -> None:
    assert chosen(None) == list(cases.BASIC)
    assert chosen(["matrix"]) == list(matrix.MATRIX)
    assert [case.name for case in chosen(["rr-1x64", "churn"])] == ["churn", "rr-1x64"]


def test_perf_report_lines_become_shares_of_the_workers() -> None:
    assert profile.shares(PERF, {71, 72}) == [("[k] tcp_sendmsg_locked", 0.75), ("[.] serve", 0.25)]


def test_a_table_goes_between_its_own_markers_and_nowhere_else() -> None:
    page = "a\n<!-- measured: x -->\nold\n<!-- /measured -->\nb\n<!-- measured: y -->\nkept\n<!-- /measured -->\n"
    assert pages.put(page, "x", "new") == page.replace("old", "\nnew\n")
    with pytest.raises(ValueError, match="has no '<!-- measured: z -->'"):
        pages.put(page, "z", "new")


def test_the_page_has_a_place_for_every_part() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for part in ("peers", "matrix", "one process each", "UNIX sockets", "watching", "growth", "profile", "stalls"):
        assert "\nnew\n" in pages.put(page, part, "new")


def test_the_matrix_names_what_was_not_measured() -> None:
    row = cases.Row("rr-100x64", "t", "/s", "rate", "higher", 1.0)
    found = pages.matrix({"rr-100x64": table.Result(row, "neper tcp_rr", own=[110, 90], peer=[100, 100]).record()})
    lines = found.splitlines()
    assert lines[0] == "| connections | 64 bytes | 1,400 bytes | 65,536 bytes |"
    assert lines[3] == "| 100 | 0.90 · **1.00** · 1.10 | not measured | not measured |"


def test_a_unix_socket_stands_beside_tcp_and_not_among_other_tools() -> None:
    row = cases.Row("unix-rr", "asked", "/s", "rate")
    found = {"unix-rr": table.Result(row, "the same over TCP", own=[300, 200], peer=[100, 100]).record()}
    lines = pages.unix_sockets(found).splitlines()
    assert lines[2].endswith("| 300 /s | 100 /s | 2.00 · **2.50** · 3.00 | 2 |")
    assert lines[3].endswith("| - | - | not measured | 0 |")
    assert "asked" not in pages.peers(found)


def test_growth_shows_a_dash_for_what_is_unknown() -> None:
    line = pages.growth([POINT]).splitlines()[-1]
    assert line == "| 10,000 | - | 4.0 µs | - | - | - | 3,800 B | 10.0 ms | 50.0 ms | 5.0 |"


def test_the_plots_are_written(tmp_path: Path) -> None:
    from benchmarks import plots

    plots.draw([POINT, {**POINT, "connections": 100_000.0}], tmp_path)
    for name, legend in (("cpu", "client"), ("memory", "kernel, both ends"), ("census", "ss -tan")):
        svg = (tmp_path / f"growth-{name}.svg").read_text(encoding="utf-8")
        assert svg.startswith("<svg")
        assert legend in svg


def test_open_and_closed_loop_stand_beside_arithmetic() -> None:
    one = {**{f"p{p:g}": 1.5 for p in stalls.PERCENTILES}, "requests": 3000.0}
    lines = pages.stalls({"rate": one, "rr": one}).splitlines()
    assert "| p99 | 900 ms | 1.50 ms | 1.50 ms |" in lines
    assert "| max | 1,000 ms | 1.50 ms | 1.50 ms |" in lines
