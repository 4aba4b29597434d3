"""Idle times in words, and the table of them wherever a run is shown."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from tests.diagnose import runs

from estab.diagnose import judge
from estab.records import IdleGap
from estab.report.answer.run import answer_run
from estab.report.html.groups import groups
from estab.report.html.repeat import command
from estab.report.html.subject import Material, PageSubject
from estab.report.idle_gaps import around_border, what_happened
from estab.report.markdown import markdown
from estab.report.text import render

PARTLY = runs.ended(60, closed=1).replace(answered=1)


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        (runs.borne(1), "answered"),
        (runs.ended(60, closed=2), "closed by FIN after 7.0 to 7.1 s"),
        (runs.ended(60, closed=2).replace(most_s=7.02), "closed by FIN after 7.0 s"),
        (runs.ended(7, closed=2, asked=True), "closed by FIN when asked after 7.0 s"),
        (runs.ended(60, reset=2), "reset after 7.0 to 7.1 s"),
        (runs.ended(60, reset=2, asked=True), "reset when asked after 60.0 s"),
        (runs.ended(60, silent=2), "silent when asked after 60.0 s, not acknowledged"),
        (runs.ended(60, silent=2).replace(unacknowledged=0), "silent when asked after 60.0 s"),
        (runs.ended(0.25, silent=2).replace(unacknowledged=0), "silent when asked after 250 ms"),
        (PARTLY, "1 answered, 1 closed by FIN after 7.0 to 7.1 s"),
        (
            runs.ended(1, closed=2).replace(answered=6, least_s=0.4, most_s=0.4),
            "answered 6 times, then closed by FIN after 400 ms",
        ),
        (runs.ended(9).replace(wrong=2, least_s=9.0, most_s=9.0), "failed after 9.0 s"),
        (IdleGap(gap_s=60, connections=2, rested=2), "not asked again: it ended before that"),
        (IdleGap(gap_s=60, connections=2), "none got so far"),
    ],
)
def test_what_happened(gap: IdleGap, words: str) -> None:
    assert what_happened(gap) == words


def test_of_many_rests_those_about_the_border_are_shown() -> None:
    gaps = [runs.borne(number) for number in range(1, 13)] + [runs.ended(13, closed=2), runs.ended(14, closed=2)]
    assert [gap.gap_s for gap in around_border(gaps)] == [7, 8, 9, 10, 11, 12, 13, 14]
    assert [gap.gap_s for gap in around_border(gaps[:12], 3)] == [10, 11, 12]
    assert around_border(gaps[:3]) == gaps[:3]


def test_the_table_is_wherever_a_run_is_shown() -> None:
    run = runs.closed_at_rest()
    run = run.replace(diagnosis=judge(run))
    assert run.diagnosis is not None
    said = "closed by FIN after 7.0 to 7.1 s"
    for show in (answer_run, render):
        out = io.StringIO()
        show(run, Console(file=out, width=100))
        assert out.getvalue().count(said) == 2
    subject = PageSubject(title="run", diagnosis=run.diagnosis, run=run)
    assert markdown(Material(subjects=[subject]), version="0").count(said) == 2
    tables = [group["tables"] for group in groups(subject, [], {}, "k") if group["title"] == "Idle times"]
    assert [row[2] for row in tables[0][0]["rows"]] == ["answered", "answered", said, said]
    assert "--gaps 1,5,10,30" in command(run)
    assert " -d " not in command(run)
