"""What the page is made of: tables, labels, the ladder of SYNs, the command to repeat, thinning, Markdown."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.diagnose import runs
from tests.report.html_pages import HOSTILE, full, hostile, written

from estab.api import report
from estab.api.files import diagnose, diagnose_snapshots, save_run
from estab.cli.app import app
from estab.kernel.formats.captures import Syn
from estab.records import Ghosts, Spread
from estab.report.html import over_time, percentiles, rungs, syns, view
from estab.report.html.labels import beside
from estab.report.html.repeat import command
from estab.report.html.subject import Capture, PageSubject

pytestmark = pytest.mark.xdist_group("pages")  # what draws them is made once a process


def chart(name: str, *arguments: Any, **named: Any) -> dict[str, Any]:
    """A chart by its module and function: what draws is loaded by the worker that draws, while each collects."""
    module, _, function = name.partition(".")
    charts = importlib.import_module(f"estab.report.html.charts.{module}")
    made: dict[str, Any] = getattr(charts, function)(*arguments, **named)
    return made


def test_states_of_points_without_them_are_not_made_up() -> None:
    states = over_time.states(full().timeline)
    assert list(states.columns["t_s"]) == [point.t_s for point in full().timeline if point.client_states]
    assert "server LISTEN" not in states.columns


def test_ghosts_are_unknown_where_an_end_was_not_seen() -> None:
    seen = runs.point(1.0, client_states={"ESTAB": 9}, server_states={"ESTAB": 4})
    assert over_time.ghosts_of(seen) == 5
    assert over_time.ghosts_of(seen.replace(server_states=None)) is None


def test_rare_kinds_of_failures_are_put_together() -> None:
    kinds = {f"connect E{i}": 20 - i for i in range(12)}
    run = runs.run(timeline=[runs.point(0.1, failed=100, failures=kinds)])
    failures = over_time.failures(run)
    assert len(failures) == over_time.MOST_KINDS + 1
    assert sum(int(value or 0) for value in failures.columns["count"]) == sum(kinds.values())


def test_percentiles_end_at_the_maximum() -> None:
    rows = list(percentiles.percentiles(full().latency).rows())
    assert [row["percentile"] for row in rows] == [50.0, 90.0, 99.0, 100.0]  # 400 values have no p99.9
    assert rows[0]["one_in"] == 2.0


def test_a_damaged_histogram_falls_back_to_the_percentiles() -> None:
    latency = full().latency
    assert latency.connect_us is not None
    for bad in ("", "!!!", "AAAA", "HISTFAAAA", "A" * 5000):
        broken = latency.replace(connect_us=latency.connect_us.replace(hdr_ns=bad))
        assert len(percentiles.percentiles(broken)) == 4


@pytest.mark.parametrize(("linear", "expected"), [(4, [0, 1, 2, 3]), (0, [0, 1, 3, 7])])
def test_the_ladder_of_syns_follows_the_rule(linear: int, expected: list[float]) -> None:
    before = runs.snapshot(sysctls={"net.ipv4.tcp_syn_linear_timeouts": [linear]})
    ladder = syns.ladder(runs.run(syn_retransmits={"0": 1, "3": 2}, client={"before": before}))
    assert ladder.rungs.columns["rule_from_s"] == expected
    assert ladder.rungs.columns["connects"] == [1, 0, 0, 2]


def test_captured_syns_count_from_their_flow_s_first() -> None:
    caught = [
        Syn(at_s=at, source="10.0.0.1", source_port=port, target="10.0.0.2", target_port=80, sequence=7)
        for port, at in ((1, 100.0), (1, 101.02), (2, 100.5), (2, 101.52), (2, 102.54))
    ]
    captured = syns.ladder(runs.run(), caught).captured
    assert [tuple(row.values()) for row in captured.rows()] == [(0, 0.0, 2), (1, 1.02, 2), (2, 2.04, 1)]


def test_labels_do_not_touch() -> None:
    labels = beside("l", [(str(i), 0.0, "x") for i in range(5)], t_s=1, top=100, height=150)
    places = sorted(float(value or 0) for value in labels.columns["at"])
    assert all(upper - lower >= 9.9 for lower, upper in pairwise(places))
    crowded = beside("l", [(str(i), 100.0, "x") for i in range(3)], t_s=1, top=100, height=150)
    assert max(float(value or 0) for value in crowded.columns["at"]) <= 100


@pytest.mark.parametrize(
    "words",
    [
        "hold 10.0.0.5:80 -n 400 -d 3 --timeout 3",
        "bench 10.0.0.5:80 -c 50 -d 5 -s 1400 --mode flood --timeout 0.5",
        "churn 10.0.0.5:80 -c 100 -d 2 -s 0 --close rst --timeout 0.5",
    ],
)
def test_the_command_to_repeat_is_one(words: str) -> None:
    name, target, *_ = words.split()
    config = {
        "hold": {"connections": 400, "duration_s": 3.0, "in_flight": 400, "timeout_s": 3.0},
        "bench": {
            "connections": 50,
            "duration_s": 5.0,
            "size_bytes": 1400,
            "mode": "flood",
            "depth": 1,
            "timeout_s": 0.5,
        },
        "churn": {
            "connections": 100,
            "duration_s": 2.0,
            "size_bytes": 0,
            "attempts": 0,
            "close": "rst",
            "first_close": "client",
            "timeout_s": 0.5,
        },
    }[name]
    said = command(runs.run(name).replace(config={**config, "target": target, "embedded": False}))
    assert said == f"estab {words}"
    app.parse_args(shlex.split(said)[1:], print_error=False, exit_on_error=False)


def test_the_embedded_server_and_a_low_ulimit_are_repeated() -> None:
    config = {"connections": 200, "duration_s": 1.0, "embedded": True, "backlog_asked": 16, "accept_delay_s": 0.05}
    run = runs.run(client={"before": runs.snapshot(nofile_soft=64)}).replace(config={**config, "target": "127.0.0.1:1"})
    assert command(run) == "(ulimit -n 64; estab hold -n 200 -d 1 --backlog 16 --accept-delay 50ms)"


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("bench", {"mode": "rate", "rate_per_s": 1234567.5, "arrivals": "constant", "depth": 1},
         "bench -c 50 -d 2 --mode rate --rate 1234567.5 --arrivals constant --pause 200ms --pause-every 10s"),
        ("churn", {"rate_per_s": 300.0, "arrivals": "poisson"},
         "churn -c 50 -d 2 --rate 300 --pause 200ms --pause-every 10s"),
        ("hold", {"trickle_per_s": 10.0, "size_bytes": 32, "churn_rate_per_s": 5.0},
         "hold -n 50 -d 2 --trickle 10 -s 32 --churn-rate 5 --pause 200ms --pause-every 10s"),
        ("bench", {"http": "/a?b"}, "bench -c 50 -d 2 --http '/a?b' --pause 200ms --pause-every 10s"),
        ("bench", {"request": r"PING\r\n", "until": r"PONG\r\n"},
         r"bench -c 50 -d 2 --request 'PING\r\n' --until 'PONG\r\n' --pause 200ms --pause-every 10s"),
        ("churn", {"request": "?", "request_bytes": 5000, "until_close": True},
         "churn -c 50 -d 2 --request @FILE --until-close --pause 200ms --pause-every 10s"),
        ("hold", {"trickle_per_s": 10.0, "request": "?", "reply_bytes": 9},
         "hold -n 50 -d 2 --trickle 10 --request '?' --reply-bytes 9 --pause 200ms --pause-every 10s"),
    ],
)  # fmt: skip
def test_an_open_loop_is_repeated_with_its_rate_and_a_server_that_stalls_with_its_pauses(
    name: str, asked: dict[str, Any], words: str
) -> None:
    config = {"connections": 50, "duration_s": 2.0, "embedded": True, "pause_s": 0.2, "pause_every_s": 10.0, **asked}
    said = command(runs.run().replace(command=name, config=config))
    assert said == f"estab {words}"
    app.parse_args(shlex.split(said)[1:], print_error=False, exit_on_error=False)


def test_a_hostile_command_is_quoted() -> None:
    run = runs.run().replace(config={"target": "a; rm -rf /", "connections": 3})
    assert shlex.split(command(run))[2] == "a; rm -rf /"


def test_the_rungs_say_which_were_met() -> None:
    made = report.subject(runs.run(config={"connections": 30_000}))
    assert made.limits is not None
    made_ladder, stood = rungs.ladder(made.limits, runs.run(config={"connections": 30_000}))
    met = {row["limit"]: row["met"] for row in made_ladder.rows()}
    assert met["ephemeral_ports"] is True
    assert stood.columns["connections"][0] == 30_000


def test_records_cannot_write_markup(tmp_path: Path) -> None:
    text = written(tmp_path, run=hostile()).read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert "<img src=x" not in text
    assert text.count("</script>") == text.count("<script")


def test_long_timelines_are_thinned_and_it_is_said(tmp_path: Path) -> None:
    from estab.report.html import page

    long = full(5000)
    path = written(tmp_path, run0=long, run1=long)
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < page.MOST_BYTES
    assert "one of each 2 points of the timelines" in text


def test_a_capture_that_is_too_large_stays_outside(tmp_path: Path) -> None:
    import random

    from estab.report.html import page

    save_run(full(), tmp_path / "run.json")
    given = report.material([tmp_path / "run.json"])
    noise = random.Random(1).randbytes(3_000_000)
    text = report.html(replace(given, captures=[Capture("big.pcapng", len(noise), noise)]))
    assert len(text.encode()) < page.MOST_BYTES
    assert "too large for this page" in text


@pytest.mark.parametrize(
    "draw",
    [
        partial(chart, "distribution.funnel"),
        partial(chart, "distribution.percentiles", ["connect", "request"], 9.0),
        partial(chart, "ladders.syns", 3, 9.0, captured=True),
        partial(chart, "ladders.rungs", 5),
        partial(chart, "over_time.states", "client", ["ESTAB", "ghosts", "SYN-SENT"], 9.0, 40.0),
        partial(chart, "over_time.connections", ["open", "connected"], 9.0),
        partial(chart, "over_time.queue", 9.0, 17.0),
        partial(chart, "over_time.counters", ["listen_overflows", "listen_drops"], 9.0, 40.0),
        lambda: chart(
            "style.by_clock",
            chart("style.with_bands", chart("over_time.queue", 9.0, 17.0), "incidents", 9.0),
            1.8e9,
            9.0,
        ),
        lambda: chart("style.with_bands", chart("over_time.states", "host", ["ESTAB"], 9.0, 40.0), "incidents", 9.0),
        lambda: chart("style.with_marks", chart("over_time.queue", 9.0, 17.0, "queue2"), "changes", 9.0),
        lambda: chart(
            "style.by_clock",
            chart("style.with_bands", chart("over_time.opens", ["in", "out"], 9e5, 40.0), "x", 9e5, ("red", "blue")),
            0,
            9e5,
        ),
        partial(chart, "over_time.episodes", ["red", "orange"], 9.0),
        partial(chart, "over_time.failures", 2, 9.0, 40.0),
        partial(chart, "over_time.throughput", "requests_per_s", "requests a second", 9.0),
        partial(chart, "over_time.latency", ["connect", "request"], 9.0),
        partial(chart, "several.sweep", "asked", "reached", 400.0),
        partial(chart, "several.open_over_time", 3, 9.0, 400.0),
    ],
)
def test_charts_are_valid_vega_lite(draw: Callable[[], dict[str, Any]]) -> None:
    import altair

    made = draw()
    # Against the whole schema at once: Chart.from_dict() checks each part again for each class that it might be.
    altair.TopLevelSpec.validate({part: made[part] for part in made if part not in ("config", "autosize")})


def test_every_plot_becomes_a_picture(tmp_path: Path) -> None:
    save_run(full(), tmp_path / "run.json")
    given = report.material([tmp_path / "run.json"])
    names = {"funnel", "states_client", "states_server", "queue", "counters", "failures", "syns", "percentiles"}
    names |= {"latency", "rungs", "throughput"}
    pngs = dict(report.pictures(given, "png"))
    svgs = dict(report.pictures(given, "svg"))
    assert set(pngs) == {f"{name}.png" for name in names}
    assert set(svgs) == {f"{name}.svg" for name in names}
    assert all(data.startswith(b"\x89PNG") and len(data) > 3000 for data in pngs.values())
    assert all(data.startswith(b"<svg") and b"var(--" not in data for data in svgs.values())


def test_markdown_has_the_verdict_first_and_nothing_that_acts(tmp_path: Path) -> None:
    save_run(full(), tmp_path / "run.json")
    text = report.markdown(report.material([tmp_path / "run.json"]))
    assert text.startswith("🔴 **accept\\_queue\\_overflow**, at the server: ")
    assert "**What to do**" in text
    save_run(hostile(), tmp_path / "hostile.json")
    bad = report.markdown(report.material([tmp_path / "hostile.json"]))
    outside_code = "".join(part for i, part in enumerate(bad.split("`")) if i % 2 == 0)
    assert re.search(r"(?<!\\)<(script|img)", outside_code) is None


# What a reader meets first -------------------------------------------------------------------------------------------


def test_the_cause_is_the_title_and_its_sentence_is_short() -> None:
    shown = view.view(report.subject(full()))
    assert (shown["heading"], shown["cause"]) == ("The accept queue overflows", "accept_queue_overflow")
    assert shown["sentence"].startswith("The accept queue of ")
    assert shown["sentence"].endswith(".")
    assert len(shown["sentence"]) < 100
    assert view.view(report.subject(diagnose(runs.run())))["heading"] == "No cause"


@pytest.mark.parametrize(
    ("summary", "parts"),
    [
        ("One thing was full: 3 failed.", ("One thing was full.", "3 failed.")),
        ("Nothing was seen in 3.5 s at 10.0.0.5:80.", ("Nothing was seen in 3.5 s at 10.0.0.5:80.", "")),
        ("First. Second; third.", ("First.", "Second; third.")),
        ("", ("", "")),
    ],
)
def test_a_first_sentence(summary: str, parts: tuple[str, str]) -> None:
    assert view.first_sentence(summary) == parts


def test_what_shows_nothing_is_left_out_with_a_word() -> None:
    from estab.report.html import page
    from estab.report.html.groups import groups, left_out

    quiet = report.subject(diagnose(runs.run(timeline=full().timeline)))
    still = [point.replace(failed=0, failures=None, queue_depth=0, listen_overflows=0, listen_drops=0, listener_drops=0)
             for point in full().timeline]  # fmt: skip
    assert quiet.run is not None
    subject = replace(quiet, run=quiet.run.replace(timeline=still, failures=[]))
    every = page.all_plots(subject)
    words = dict(left_out(every))
    assert words["Failures: over time, by phase and errno"] == "Nothing failed."
    assert words["Accept queue: overflow counters"] == "None rose."
    assert words["Accept queue: depth and limit"] == f"Nobody waited in the queue, at any of {len(still)} looks."
    made = {plot.name: plot for plot in every}
    assert "Failures" not in [section["title"] for section in groups(subject, every, made, "run0")]


def test_a_ghost_is_not_reached() -> None:
    run = full(ghosts=Ghosts(count=49, client_established=70, server_established=21))
    assert rungs.asked_and_reached(run)[1] == rungs.asked_and_reached(full(ghosts=None))[1] - 49


def test_several_runs_come_by_number(tmp_path: Path) -> None:
    def titles(*names: str) -> list[str]:
        for name in names:
            save_run(full(3), tmp_path / f"{name}.json")
        return [subject.title for subject in report.material([tmp_path / f"{name}.json" for name in names]).subjects]

    assert titles("run-1", "run-10", "run-2") == ["run-1", "run-2", "run-10"]
    assert titles("before", "after") == ["before", "after"]


def test_no_line_is_drawn_over_a_time_in_which_nothing_ended() -> None:
    spread = Spread(over_s=0.1, count=5, p50=40.0, p90=70, p99=900, max=1000)
    points = [runs.point(t_s, connect_us=spread) for t_s in (0.1, 0.2, 0.9)]
    assert [row["p50_us"] for row in over_time.latency(points).rows()] == [40.0, 40.0, None, 40.0]


def test_a_recording_has_clock_times_and_shaded_incidents() -> None:
    from estab.report.html import snapshots

    recorded = [
        runs.snapshot(taken_at_s=1_780_000_000.0 + i, counters={"TcpExt.ListenOverflows": max(0, min(i, 6) - 3)})
        for i in range(10)
    ]
    plots = {
        plot.name: plot for plot in snapshots.plots(PageSubject("x", diagnose_snapshots(recorded), snapshots=recorded))
    }
    bands = next(table for table in plots["counters"].tables if table.name == "incidents")
    assert list(bands.rows()) == [{"from_s": 3.0, "to_s": 6.0}]
    assert "utcFormat" in str(plots["counters"].chart)
    assert "datum.label + ' s'" not in str(plots["counters"].chart)


def test_the_script_is_kept_and_made_anew_where_what_was_kept_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from estab.report.html import vega

    script = vega.bundle()
    made: list[str] = []

    def make(snippet: str, **_options: str) -> str:
        made.append(snippet)
        return "a()</script><!-- b"

    monkeypatch.setattr(vega.vl_convert, "javascript_bundle", make)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    anew = vega.bundle.__wrapped__
    assert anew() == anew() == "a()<\\/script>\\x3c!-- b\n/* whole */\n"
    assert len(made) == 1
    (kept,) = tmp_path.rglob("*.js")
    kept.write_text(kept.read_text()[:5])
    assert anew() == anew()
    assert len(made) == 2
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    assert anew() == anew()
    assert len(made) == 4, "nothing can be kept there"
    assert script.endswith("/* whole */\n")
