"""When distress begins in a recording, the worst that was seen, and the line that stays when the view ends."""

from __future__ import annotations

import pytest
from tests.live.stories import listener, snapshot, story

from estab.live.incidents import WorstSeen, begins
from estab.live.model import Model
from estab.live.screen.run import last_line
from estab.records import Snapshot


def fills(*depths: int) -> list[list[Snapshot]]:
    """A listener with room for 17, which has been so full at each second."""
    return [[snapshot(second, listener(80, depth, 16))] for second, depth in enumerate(depths)]


@pytest.mark.parametrize(
    ("depths", "rounds"),
    [((0, 0, 0), []), ((0, 17, 17, 0), [2]), ((17, 0, 0, 17, 0), [1, 4]), ((), [])],
)
def test_distress_begins_where_there_was_none(depths: tuple[int, ...], rounds: list[int]) -> None:
    assert begins(fills(*depths)) == rounds


def test_the_worst_is_the_first_of_those_alike() -> None:
    worst, model = WorstSeen(), Model()
    assert worst.words() is None
    for together in fills(0, 3, 17, 17, 0):
        worst.note(model.feed(together))
    assert worst.words() == ("127.0.0.1:80 (nginx 4711)", "full (17 fit): whoever connects next is turned away")
    assert last_line(worst) == (
        "worst seen: 127.0.0.1:80 (nginx 4711) at 00:00:02 UTC: full (17 fit): whoever connects next is turned away"
    )


def test_an_overflow_is_worse_than_a_full_queue() -> None:
    worst, model = WorstSeen(), Model()
    for taken in story():
        worst.note(model.feed([taken]))
    words = worst.words()
    assert words is not None
    assert "are turned away" in words[1]


def test_nothing_is_said_to_be_nothing() -> None:
    worst, model = WorstSeen(), Model()
    worst.note(model.feed(fills(3)[0]))
    assert last_line(worst) == "worst seen in 1 look: nothing; no queue was full or filling"


@pytest.mark.parametrize(("arrived", "depths", "per_s"), [(30, (0, 10), 20), (30, (10, 0), 40), (0, (0, 5), 0)])
def test_what_was_accepted_is_what_arrived_less_what_waits_more(
    arrived: int, depths: tuple[int, int], per_s: float
) -> None:
    model = Model()
    model.feed([snapshot(0, listener(80, depths[0]), arrived=100)])
    view = model.feed([snapshot(1, listener(80, depths[1]), arrived=100 + arrived)])
    assert view.totals.accepted_per_s == per_s
