"""What is said by default: on one screen of 80 columns, the verdict first, whatever a record holds."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from rich.cells import cell_len
from rich.console import Console
from tests.diagnose import runs
from tests.diagnose.anything import of
from tests.limits.ladders import away, local

from estab.diagnose import judge, judge_snapshots
from estab.diagnose.ladder import ladder
from estab.records import Diagnosis, Failure, Limits, Program, RunResult, Suspect
from estab.records.cluster import ClusterResult
from estab.records.lab import LabResult, LabScenario
from estab.records.search import Ceiling, CeilingStep, HighestRate, IdleStep, IdleTime, RateStep
from estab.records.twin import TwinResult
from estab.report.answer.lab import answer_end, answer_scenario, brief_lab
from estab.report.answer.limits import answer_limits, brief_limits
from estab.report.answer.run import answer_diagnosis, answer_run, brief_diagnosis, brief_run
from estab.report.answer.search import (
    answer_ceiling,
    answer_idle,
    answer_rate,
    brief_ceiling,
    brief_idle,
    brief_rate,
)
from estab.report.answer.shape import lowered
from estab.report.answer.twin import answer_twin, brief_twin
from estab.report.cluster import answer_cluster
from estab.report.layout import ASCII, UNICODE

MOST_LINES = 24
RUNS: dict[str, Callable[[], RunResult]] = {
    "healthy_bench": runs.healthy_bench,
    "healthy_churn": runs.healthy_churn,
    "remote": lambda: runs.stalled(server=runs.remote()),
    "interrupted": lambda: runs.overflowed(interrupted=True),
    **runs.MET,
}


class Utf8(io.StringIO):
    encoding = "utf-8"


class Ascii(io.StringIO):
    encoding = "ascii"


def printed(answer: Callable[..., None], *given: Any, width: int = 80, file: io.StringIO | None = None) -> str:
    out = file or Utf8()
    answer(*given, Console(file=out, width=width))
    return out.getvalue()


def judged(run: RunResult) -> RunResult:
    return run.replace(diagnosis=judge(run))


def fits(shown: str, width: int = 80) -> None:
    lines = shown.splitlines()
    assert 0 < len(lines) <= MOST_LINES, shown
    assert all(cell_len(line) <= width and line == line.rstrip() for line in lines), shown
    assert "None" not in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("name", RUNS)
def test_no_answer_is_longer_than_a_screen(name: str, width: int) -> None:
    run = judged(RUNS[name]())
    fits(printed(answer_run, run, width=width), width)
    assert run.diagnosis is not None
    fits(printed(answer_diagnosis, run.diagnosis, "this host, 2 s", width=width), width)


@pytest.mark.parametrize("name", runs.MET)
def test_the_cause_comes_first_with_what_to_do_and_what_not(name: str) -> None:
    run = judged(runs.MET[name]())
    assert run.diagnosis is not None
    assert run.diagnosis.accused is not None
    shown = printed(answer_run, run)
    assert shown.startswith(f"✗ {run.cause} ({run.diagnosis.side}): ")
    said = " ".join(shown.split())
    assert lowered(run.diagnosis.summary) in said
    for label in ("Why", "Do", "Not", "Run", "Seen"):
        assert f"\n  {label} " in shown
    first = next(remedy.command for remedy in run.diagnosis.accused.remedies if remedy.works)
    assert " ".join(first.split())[:60] in said


@pytest.mark.parametrize(
    ("run", "lines"),
    [
        (
            runs.healthy_bench(),
            [
                "✓ 91,225 requests/s  p50 2.14 ms  p99 8.56 ms  all 400 connected  no limit met",
                "  CPU bound: client 99%, server 97% · bench 127.0.0.1:5000 ·",
            ],
        ),
        (runs.run(), ["✓ connect p50 61.0 µs  p99 244 µs  all 400 connected  no limit met"]),
        (runs.run(funnel=runs.funnel(1, 1)), ["✓ connect p50 61.0 µs  p99 244 µs  1 of 1 connected  no limit met"]),
        (runs.healthy_churn(), ["✓ 15,333 connects/s  connect p50 61.0 µs  p99 244 µs  all 46,000 connected"]),
        (
            runs.stalled(server=runs.remote()),
            ["? 271 failures; no cause is confirmed. Possible: path_flow_table_full,"],
        ),
        (
            runs.overflowed(interrupted=True),
            [
                "Interrupted after 3.10 s: what was seen until then.",
                "✗ accept_queue_overflow (server): the accept queue of 127.0.0.1:5000 was full",
            ],
        ),
    ],
)
def test_how_an_answer_begins(run: RunResult, lines: list[str]) -> None:
    shown = printed(answer_run, judged(run)).splitlines()
    assert [said[: len(line)] for said, line in zip(shown, lines, strict=False)] == lines


def test_healthy_is_a_line_or_two() -> None:
    assert len(printed(answer_run, judged(runs.healthy_bench())).splitlines()) == 2


def test_what_cannot_be_seen_is_said_of_a_healthy_run_too() -> None:
    shown = printed(answer_run, judged(runs.run(server=runs.remote())))
    assert "causes can't be seen from here: --server-via" in " ".join(shown.split())
    assert shown.startswith("✓ ")


def test_figures_of_a_trace_that_lost_events_are_the_least() -> None:
    program = Program(name="wrk", seen="traced", lost_events=12)
    shown = printed(answer_run, judged(runs.run(command="run", program=program)))
    assert "400 that were seen connected" in " ".join(shown.split())
    assert "12 trace events were lost" in " ".join(shown.split())
    failed = printed(answer_run, judged(runs.refused(command="run", program=program)))
    assert "attempted at least 400" in " ".join(failed.split())


def test_where_the_page_comes_from_is_named_once_there_is_a_record() -> None:
    run = judged(runs.overflowed())
    assert printed(lambda run, console: answer_run(run, console, "estab report run.json"), run).endswith(
        "estab report run.json\n"
    )


@pytest.mark.parametrize("name", RUNS)
def test_an_ascii_console_gets_ascii(name: str) -> None:
    run = judged(RUNS[name]())
    assert printed(answer_run, run, file=Ascii()).isascii()
    assert brief_run(run, ASCII).isascii()


@pytest.mark.parametrize("name", RUNS)
def test_brief_is_one_line_with_the_cause_and_the_first_thing_to_do(name: str) -> None:
    run = judged(RUNS[name]())
    said = brief_run(run, UNICODE)
    assert "\n" not in said
    assert run.diagnosis is not None
    if run.cause is not None:
        assert said.startswith(f"✗ {run.cause} (")
        assert " Do: " in said


def test_a_host_at_rest_and_one_with_a_cause() -> None:
    quiet = judge_snapshots(None, runs.snapshot())
    assert printed(answer_diagnosis, quiet, "this host, 2 s").startswith("✓ ")
    full = judge_snapshots(None, runs.snapshot(conntrack=runs.Conntrack(count=1000, maximum=1000)))
    assert printed(answer_diagnosis, full, "a\x1b[2Jb\n").startswith("✗ conntrack_full_local (client): ")
    assert brief_diagnosis(full, UNICODE).startswith("✗ conntrack_full_local (client): ")


def test_a_record_from_elsewhere_moves_no_cursor_and_is_no_markup() -> None:
    evil = "\x1b[2J[bold]x[/bold]\r\n\x07"
    run = runs.run(
        config={"target": evil, evil: evil},
        failures=[Failure(phase=evil, errno=evil, count=1, example=evil)],
        diagnosis=Diagnosis(
            cause="x", summary=evil, suspects=[Suspect(cause="x", side="client", verdict="confirmed", summary=evil)]
        ),
    )
    for shown in (printed(answer_run, run), brief_run(run, UNICODE)):
        assert not set(shown) & {"\x1b", "\r", "\x07"}
        assert "[bold]x[/bold]" in shown


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(run=of(RunResult), lab=of(LabResult), twin=of(TwinResult), cluster=of(ClusterResult))
def test_whatever_a_record_holds_it_renders(
    run: RunResult, lab: LabResult, twin: TwinResult, cluster: ClusterResult
) -> None:
    assert printed(answer_run, run)
    assert brief_run(run, UNICODE)
    assert printed(answer_end, lab)
    assert brief_lab(lab, UNICODE)
    for done in lab.scenarios:
        assert printed(lambda done, console: answer_scenario(done, console, alone=True), done)
    assert printed(answer_twin, twin)
    assert brief_twin(twin, UNICODE)
    assert printed(answer_cluster, cluster)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(limits=of(Limits), ceiling=of(Ceiling), rate=of(HighestRate), idle=of(IdleTime))
def test_whatever_a_search_or_a_ladder_holds_it_renders(
    limits: Limits, ceiling: Ceiling, rate: HighestRate, idle: IdleTime
) -> None:
    assert printed(answer_limits, limits)
    assert brief_limits(limits, UNICODE)
    assert printed(answer_ceiling, ceiling)
    assert brief_ceiling(ceiling, UNICODE)
    assert printed(answer_rate, rate)
    assert brief_rate(rate, UNICODE)
    assert printed(answer_idle, idle)
    assert brief_idle(idle, UNICODE)


@pytest.mark.parametrize("ends", [local(), away()], ids=["local", "away"])
def test_the_five_tightest_limits(ends: Any) -> None:
    limits = ladder(ends)
    shown = printed(answer_limits, limits)
    fits(shown)
    known = [limit.limit for limit in limits.limits if limit.capacity_connections is not None]
    table = shown.partition("raise it with\n")[2].splitlines()[:5]
    assert all(f" {name} " in line for name, line in zip(known, table, strict=False))
    assert f"and {len(known) - 5} wider" in shown


def test_a_limit_that_is_met_is_the_headline() -> None:
    limits = ladder(local())
    first = limits.limits[0].replace(capacity_connections=0)
    met = limits.replace(limits=[first, *limits.limits[1:]])
    assert printed(answer_limits, met).startswith(f"✗ {met.binding} ({first.side}): is met: not one connection more")


CEILING = Ceiling(
    target="127.0.0.1:5000", most=100_000, predicted=477, predicted_by="client_open_files", ceiling=478, met=True,
    confirmed=True, set_by="client_open_files",
    steps=[CeilingStep(asked=2**n, held=2**n, failed=0, seconds=1.0) for n in range(9)],
)  # fmt: skip


def test_a_ceiling_and_a_rate() -> None:
    shown = printed(answer_ceiling, CEILING)
    fits(shown)
    assert shown.startswith("✓ ceiling of 127.0.0.1:5000: 478 held, 479 did not, set by client_open_files\n")
    assert "4 before these (-v)" in shown
    assert printed(answer_ceiling, CEILING.replace(confirmed=False)).startswith("? ")
    rate = HighestRate(
        target="a:1", percentile=99, bound_us=5000, rate_per_s=12_000, confirmed=True,
        steps=[RateStep(rate_per_s=1e3, reached_per_s=1e3, latency_us=100, seconds=1)],
    )  # fmt: skip
    assert printed(answer_rate, rate).startswith("✓ highest rate of a:1: 12,000/s with p99 at most 5.00 ms, held twice")


IDLE = IdleTime(
    target="a:1", most_s=20, idle_s=7.0, how="closed", borne_s=5.06, confirmed=True, set_by="server_idle_close",
    diagnosis=judge(runs.closed_at_rest()),
    steps=[IdleStep(gaps=runs.closed_at_rest().idle_gaps, seconds=12.0, cause="server_idle_close")],
)  # fmt: skip


@pytest.mark.parametrize(
    ("idle", "begins"),
    [
        (IDLE, "✓ idle time of a:1: closed by FIN after 7.0 s, set by server_idle_close (server)\n"),
        (
            IDLE.replace(how="lost", idle_s=5.0, lost_s=5.2, confirmed=False, set_by=None, diagnosis=None),
            "? idle time of a:1: forgotten after 5.0 s (5.1 s is answered, 5.2 s is not)\n",
        ),
        (IdleTime(target="a:1", most_s=20, confirmed=True), "✓ idle time of a:1: none up to 20.0 s: what rested"),
        (IdleTime(target="a:1", most_s=20, note="nobody is there"), "? idle time of a:1: not known: nobody is there\n"),
        (IdleTime(target="a:1", most_s=20, interrupted=True), "? idle time of a:1: interrupted; known until then: "),
    ],
)
def test_an_idle_time(idle: IdleTime, begins: str) -> None:
    shown = printed(answer_idle, idle)
    fits(shown)
    assert shown.startswith(begins)
    assert brief_idle(idle, UNICODE).startswith(begins.strip())


def test_a_round_of_a_search_is_a_line() -> None:
    said = " ".join(printed(answer_idle, IDLE).split())
    assert "Tried rests of 1.0 s to 30.0 s: 5.0 s answered, 10.0 s closed by FIN after 7.0 to 7.1 s" in said


def test_scenarios_side_by_side_take_a_line_each_unless_one_differs() -> None:
    done = LabScenario(name="healthy", symptom="All is well", side="client", status="as_predicted", seconds=1.0)
    line = printed(lambda done, console: answer_scenario(done, console, alone=False), done)
    assert line == "✓ healthy  as predicted · 1.0 s\n"
    differs = printed(
        lambda done, console: answer_scenario(done, console, alone=False), done.replace(status="differs", cause="x")
    )
    assert "x, expected no cause" in differs


@pytest.mark.parametrize(
    ("said", "goes_on"),
    [
        ("The queue was full.", "the queue was full."),
        ("A filter drops it.", "a filter drops it."),
        ("TIME_WAIT filled it.", "TIME_WAIT filled it."),
        ("SYNs were lost.", "SYNs were lost."),
        ("nginx keeps 150.", "nginx keeps 150."),
        ("", ""),
    ],
)
def test_a_sentence_after_a_colon(said: str, goes_on: str) -> None:
    assert lowered(said) == goes_on
