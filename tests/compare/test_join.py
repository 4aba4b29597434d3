"""Runs into a comparison, and the comparison into text: figures, noise, what is not alike, and every escape."""

from __future__ import annotations

import io
from collections import Counter
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from tests.diagnose.runs import run as made

from estab.compare import compare_runs, parse
from estab.diagnose import judge
from estab.errors import ReadError, UsageError
from estab.load.outcome import percentiles
from estab.records import Failure, Latency, Requests, RunResult, decode, encode
from estab.records.comparison import COMPARISON_SCHEMA, Comparison, Figure, GateTerm
from estab.report.annotations import MOST, command, workflow_commands
from estab.report.compare import render_comparison
from estab.report.compare_markdown import markdown
from estab.report.junit import junit
from estab.report.markup import plain


def bench(per_s: float, p99_us: int, **more: object) -> RunResult:
    """A bench run with so many requests a second; 98 took 50 us and two `p99_us`."""
    counts = Counter({50_000: 98, p99_us * 1000: 2})
    spread = percentiles(counts, 50_000 * 98 + p99_us * 2000, p99_us * 1000)
    found = made().replace(
        command="bench",
        requests=Requests(count=100, per_second=per_s, bytes=6400, seconds=1.0),
        latency=Latency(request_us=spread),
        **more,
    )
    return found.replace(diagnosis=judge(found))


A = [bench(1000 + i, 100 + i) for i in range(5)]
SLOWER = [bench(700 + i, 200 + i) for i in range(5)]


def figure(found: Comparison, name: str) -> Figure:
    return next(figure for figure in found.figures if figure.name == name)


def test_a_regression_is_beyond_noise() -> None:
    comparison = compare_runs(A, SLOWER, terms=parse("p99>+10%,throughput<-5%,failures>0,cause"))
    throughput = figure(comparison, "throughput")
    assert throughput.noise == "beyond"
    assert throughput.p == pytest.approx(2 / 252)
    assert throughput.change == pytest.approx(702 / 1002 - 1)
    assert [one.fired for one in comparison.gate] == [True, True, False, False]
    assert decode(encode(comparison), Comparison, COMPARISON_SCHEMA) == comparison


def test_the_same_runs_are_the_same() -> None:
    comparison = compare_runs(A, A, terms=parse("p99>+0%,throughput<-0%,failures>0,cause"))
    assert not any(one.fired for one in comparison.gate)
    assert {figure.noise for figure in comparison.figures} <= {"within", "same"}
    assert comparison.notes == comparison.differences == []


def test_three_a_side_are_told_as_too_few() -> None:
    comparison = compare_runs(A[:3], SLOWER[:3])
    assert figure(comparison, "throughput").noise == "separated"
    assert any("can reach p <= 0.05" in note for note in comparison.notes)
    assert figure(compare_runs(A[:3], SLOWER[:3], alpha=0.1), "throughput").noise == "beyond"


def test_histograms_are_merged_exactly() -> None:
    pooled = figure(compare_runs(A, SLOWER), "request.p99").a_all
    assert pooled is not None
    assert pooled.count == 500
    assert pooled.value == pytest.approx(102, rel=0.002), "ranks 491 to 500 are the ten slow ones, two of each run"


def test_a_damaged_histogram_is_one_clear_error() -> None:
    spread = A[0].latency.request_us
    assert spread is not None
    broken = A[0].replace(latency=Latency(request_us=spread.replace(hdr_ns="AAAA")))
    with pytest.raises(ReadError, match="request histogram"):
        compare_runs([broken], A)


def test_a_figure_missing_in_one_run_is_not_tested() -> None:
    comparison = compare_runs([*A[:4], A[4].replace(requests=None)], SLOWER)
    assert figure(comparison, "throughput").noise == "unknown"
    assert any("not alike" in note for note in comparison.notes) is False


def test_what_is_not_alike_is_named() -> None:
    config = {**A[0].config, "size_bytes": 640}
    comparison = compare_runs(A, [run.replace(config=config, interrupted=run is A[0]) for run in A])
    assert [(one.what, one.b) for one in comparison.differences] == [("size_bytes", "640")]
    assert "1 of 5 runs of B was interrupted." in comparison.notes


def test_failures_by_phase_and_errno() -> None:
    failed = [run.replace(failures=[Failure(phase="read", errno="ECONNRESET", count=3)]) for run in A]
    comparison = compare_runs(
        A, failed, terms=parse("failures.read>0,failures.ETIMEDOUT>0,failures.read.ECONNRESET>+2")
    )
    assert figure(comparison, "failures.read.ECONNRESET").b == 3
    assert [one.fired for one in comparison.gate] == [True, False, True]


def test_an_empty_side() -> None:
    with pytest.raises(UsageError, match="holds no run"):
        compare_runs([], A)


def rendered(found: Comparison, width: int = 80) -> str:
    out = io.StringIO()
    render_comparison(found, Console(file=out, width=width, force_terminal=False))
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 160])
def test_on_a_terminal(width: int) -> None:
    text = rendered(compare_runs(A, SLOWER, terms=parse("p99>+10%")), width)
    assert "Worse beyond noise: throughput" in " ".join(text.split())
    assert "Gate  fails, 1 of 1" in text
    assert all(len(line) <= width and line == line.rstrip() for line in text.splitlines())


anything = st.text(max_size=30)
SAME = compare_runs(A[:1], A[:1])


@settings(deadline=None)
@given(anything, anything, anything)
def test_no_text_breaks_a_form(name: str, term: str, reason: str) -> None:
    found = SAME.replace(a=SAME.a.replace(name=name), gate=[GateTerm(term=term, fired=True, reason=reason)])
    tree = ElementTree.fromstring(junit(found, reason))
    assert len(list(tree.iter("failure"))) == 1
    assert not any("\n" in line or "\r" in line for line in workflow_commands(found))
    assert all(
        row.count("|") - row.count("\\|") == 7 for row in markdown(found).splitlines() if row.startswith("| con")
    )


def test_escapes() -> None:
    assert command("error", "a:b,c%", "x\r\ny: 5%, z") == "::error title=a%3Ab%2Cc%25::x%0D%0Ay: 5%25, z"
    assert plain("a|b_c\n<d>") == "a\\|b\\_c \\<d\\>"
    xml = junit(compare_runs(A, A, terms=parse("p99>+10%")), "bell \x07 and null \0")
    assert b"bell ? and null ?" in xml
    assert b'failures="0"' in xml


def test_annotations_are_bounded() -> None:
    many = [GateTerm(term=f"p99>{n}", fired=True, reason="why") for n in range(40)]
    errors = [line for line in workflow_commands(compare_runs(A, A).replace(gate=many)) if line.startswith("::error")]
    assert len(errors) == MOST
    assert errors[-1].endswith("::and 31 more")
