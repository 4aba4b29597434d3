"""The pure parts of the benchmarks: what peers print, ratios, and the table. Nothing here is timed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import cases, matrix, measure, own, parse, ratios, table

NEPER = """VERSION=1.1.0
num_flows=100
correlation_coefficient=1.00
throughput=233397.52
local_throughput=233397
remote_throughput=233349
"""
GO_FLOOD = """2026/11/22 00:50:13 Read Err EOF
2026/11/22 00:50:13 Total Requests: 3520000
2026/11/22 00:50:13 Throughput: 1.76e+06 [#/sec]
2026/11/22 00:50:13 Read Err EOF
"""
GO_HOLD = [
    (9.0, "maxConns := 2000 maxThreads := 100"),
    (9.5, "1000 Connected."),
    (10.0, "2000 Connected."),
    (11.0, "1000 Disconnected."),
    (12.5, "2000 Disconnected."),
]


def test_neper_rate_is_the_whole_line_and_not_its_neighbours() -> None:
    assert parse.neper_rate(NEPER) == 233397.52
    with pytest.raises(ValueError, match=r"no 'throughput=' line.*local_throughput=9"):
        parse.neper_rate("local_throughput=9\n")


@pytest.mark.parametrize("word", ["0.00", "nan", "inf", "-3"])
def test_a_rate_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=f"{word} is no rate"):
        parse.neper_rate(f"throughput={word}\n")


def test_go_flood_rate_in_both_notations() -> None:
    assert parse.go_flood_rate(GO_FLOOD) == 1_760_000
    assert parse.go_flood_rate(GO_FLOOD.replace("1.76e+06", "599151.6886603468")) == pytest.approx(599151.69)
    with pytest.raises(ValueError, match="it said nothing"):
        parse.go_flood_rate("")


WRK = """  2 threads and 100 connections
  9000 requests in 2.00s, 1.80MB read
Requests/sec:   4500.25
Transfer/sec:      0.90MB
"""


def test_wrk_rate_is_none_where_it_met_failures() -> None:
    assert parse.wrk_rate(WRK) == 4500.25
    refused = "  Non-2xx or 3xx responses: 9000\n"
    broken = "  Socket errors: connect 0, read 12, write 0, timeout 0\n"
    for line in (refused, broken):
        with pytest.raises(ValueError, match=line.strip()):
            parse.wrk_rate(WRK.replace("Requests/sec", line + "Requests/sec"))


def test_go_hold_counts_from_its_first_word_to_its_last_close() -> None:
    assert parse.go_hold_seconds(GO_HOLD, 2000) == 3.5
    assert parse.go_hold_seconds([*GO_HOLD, (99.0, "junk")], 2000) == 3.5


def test_go_hold_that_did_not_finish_says_how_far_it_came() -> None:
    with pytest.raises(ValueError, match=r"did not close 2,000 connections.*'1000 Disconnected\.'"):
        parse.go_hold_seconds(GO_HOLD[:-1], 2000)
    with pytest.raises(ValueError, match="it said nothing"):
        parse.go_hold_seconds([], 2000)
    with pytest.raises(ValueError, match=r"multiple of 1,000"):
        parse.go_hold_seconds(GO_HOLD, 1999)


def test_a_ratio_above_one_is_estab_ahead_whichever_way_is_better() -> None:
    assert ratios.ratio(300.0, 200.0, "higher") == 1.5
    assert ratios.ratio(0.5, 4.0, "lower") == 8.0
    with pytest.raises(ValueError, match="above 0"):
        ratios.ratio(1.0, 0.0, "higher")


def test_spread_and_verdict_go_by_the_median() -> None:
    found = ratios.ratios([(110, 100), (90, 100), (120, 100)], "higher")
    assert ratios.spread(found) == ratios.Spread(0.9, 1.1, 1.2)
    assert ratios.met(found, 1.1) is True
    assert ratios.met(found, 1.11) is False
    assert ratios.met(found, None) is None


def test_turns_that_are_watched_are_set_against_their_neighbours() -> None:
    """100 requests a tenth of a second, and 90 where it is watched; the first and the last turn count for nothing."""
    counts, requests = [], 0
    for tick in range(40):
        at_s = 1000.0 + tick / 10
        counts.append((at_s, requests))
        requests += 5 if tick < 5 or tick >= 35 else 90 if ratios.is_watched(at_s) else 100
    assert ratios.in_turn(counts) == pytest.approx(0.9)
    with pytest.raises(ValueError, match="no watched turn"):
        ratios.in_turn(counts[:12])
    assert ratios.met([], 1.0) is None
    assert ratios.met([90.0, 210.0, 95.0], 200, "lower") is True
    assert ratios.spread([]) is None


def test_memory_growth_counts_what_more_workers_bring_by_themselves() -> None:
    one = [{"rss_bytes": 1000}]
    assert own.memory_growth([{"rss_bytes": 3000}], one, 100) == 20
    assert own.memory_growth([{"rss_bytes": 2000}, {"rss_bytes": 2000}], one, 100) == 20


def _row(**changes: object) -> cases.Row:
    return cases.Row(**{"name": "rr", "title": "t", "unit": "/s", "figure": "rate", "target": 1.1, **changes})  # type: ignore[arg-type]


def test_the_table_shows_ratios_targets_and_verdicts() -> None:
    results = [
        table.Result(_row(), "peer", own=[300_000, 320_000], peer=[200_000, 200_000], notes=["n", "n"]),
        table.Result(_row(name="slow"), "peer", own=[100], peer=[200], errors=["estab: broke"]),
        table.Result(_row(name="gone"), "peer", skipped="tcp_rr not on PATH"),
        table.Result(_row(name="all failed"), "peer", errors=["peer: hung"]),
        table.Result(_row(name="memory", unit="bytes", better="lower", target=200.0), None, own=[94.6]),
        table.Result(_row(name="watch", target=None), "not watched", own=[99], peer=[100]),
    ]
    lines = table.render(results)
    assert [line.split() for line in lines[:1] + lines[2:8]] == [
        ["case", "estab", "peer", "unit", "least", "median", "most", "target", "met"],
        ["rr", "310,000", "200,000", "/s", "1.50x", "1.55x", "1.60x", "≥", "1.10x", "yes"],
        ["slow", "100", "200", "/s", "0.50x", "0.50x", "0.50x", "≥", "1.10x", "NO"],
        ["gone", "-", "-", "/s", "-", "-", "-", "≥", "1.10x", "skipped"],
        ["all", "failed", "-", "-", "/s", "-", "-", "-", "≥", "1.10x", "failed"],
        ["memory", "94.6", "-", "bytes", "94.6", "94.6", "94.6", "≤", "200", "yes"],
        ["watch", "99.0", "100", "/s", "0.99x", "0.99x", "0.99x"],
    ]
    assert "  2 times: n" in lines
    assert "  a pair failed: estab: broke" in lines
    assert "  skipped: tcp_rr not on PATH" in lines
    json.dumps([result.record() for result in results])


def test_every_case_can_be_carried_out_and_every_peer_has_a_recipe() -> None:
    for case in matrix.CASES:
        assert case.own.what in measure.OWN
        assert case.peer is None or case.peer.what in measure.PEERS | measure.OWN
        assert set(case.programs) <= set(cases.HOW_BUILT)
    names = [row.name for case in matrix.CASES for row in case.rows]
    assert len(set(names)) == len(names)
