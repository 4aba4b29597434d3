"""The situations of the gate are judged right, and each entry of the corpus is whole."""

from __future__ import annotations

import pytest
from tests.field import table
from tests.field.catalogue import SITUATIONS
from tests.field.gate import IN_CI
from tests.field.mark import Said, mark
from tests.field.runner import Runner
from tests.field.situation import due, healthy, open_to


@pytest.mark.long
@pytest.mark.namespace
def test_the_judge_is_right_in_the_field() -> None:
    outcomes = Runner(jobs=4).play_all([SITUATIONS[name] for name in IN_CI])
    told = "\n".join(["", *table.lines(outcomes)])
    # What did not come about, twice, on a busy machine says nothing of the judge; but most of it has to.
    came = [outcome for outcome in outcomes if outcome.mark != "not set up"]
    assert all(outcome.mark == "right" for outcome in came), told
    assert len(came) * 10 >= len(outcomes) * 9, told


def test_every_entry_proves_itself_and_says_what_it_is() -> None:
    for situation in SITUATIONS.values():
        assert situation.proofs, situation.name
        assert situation.story.endswith("."), situation.name


def said(**more: object) -> Said:
    return Said(**{"exit": 1, "text": "", **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("truth", "answer", "expected"),
    [
        (healthy(), said(exit=0), "right"),
        (healthy(), said(exit=1), "false alarm"),
        (healthy(), said(cause="a_b"), "false alarm"),
        (due("a_b"), said(cause="a_b"), "right"),
        (due("a_b"), said(cause="c_d"), "wrong"),
        (due("a_b"), said(), "silent"),
        (due("a_b"), said(exit=0), "misleading"),
        (due("a_b"), said(possible=("a_b",)), "misleading"),
        (due("a_b"), said(cause="a_b", exit=0), "misleading"),
        (due("a_b", harmful=("backlog",)), said(cause="a_b", remedies=("--backlog 9",)), "misleading"),
        (due("a_b", says=("so much",)), said(cause="a_b", text="so\n  much"), "right"),
        (due("a_b", says=("so much",)), said(cause="a_b"), "misleading"),
        (open_to("a_b"), said(possible=("a_b", "c_d")), "right"),
        (open_to("a_b"), said(cause="a_b"), "right"),
        (open_to("a_b"), said(possible=("c_d",)), "silent"),
        (open_to("a_b", quiet=True), said(), "right"),
        (open_to("a_b", quiet=True), said(cause="c_d"), "wrong"),
        (healthy(), said(exit=-9), "crash"),
        (due("a_b"), said(text="Traceback (most recent call last):"), "crash"),
    ],
)
def test_marks(truth, answer, expected) -> None:
    assert mark(truth, answer)[0] == expected
