"""Pieces of work side by side: so many at once, begun in their order, alone where one asks for it; errors come out."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection

import pytest

from estab.errors import MachineError, UsageError
from estab.lab.process.child import say
from estab.lab.process.launch import Event
from estab.lab.process.parallel import Piece, Said, in_parallel
from estab.lab.run.collector import Collector
from estab.records.lab import LabScenario

Work = Callable[[Connection], str]


def speaks(name: str) -> Work:
    def work(connection: Connection) -> str:
        say(connection, f"{name} begins")
        return f"{name} ends"

    return work


def said(pieces: Sequence[Piece], at_once: int) -> list[str]:
    return [one.what for one in in_parallel(pieces, at_once)]


def test_one_at_a_time_keeps_the_order() -> None:
    pieces = [Piece(speaks(name)) for name in "abc"]
    assert list(in_parallel(pieces, 1))[:2] == [Said(0, "a begins"), Said(0, "a ends", over=True)]
    assert said(pieces, 1) == ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]
    assert said([], 3) == []


def test_two_are_there_at_the_same_time() -> None:
    """Each waits for a word of the other: one after the other they would never end."""
    one, other = os.pipe(), os.pipe()

    def meets(ours: tuple[int, int], theirs: tuple[int, int], _connection: Connection) -> bool:
        os.write(theirs[1], b"x")
        return bool(select.select([ours[0]], [], [], 10)[0])

    found = list(in_parallel([Piece(partial(meets, one, other)), Piece(partial(meets, other, one))], 2))
    assert sorted((each.place, each.what) for each in found) == [(0, True), (1, True)]
    for end in (*one, *other):
        os.close(end)


def test_no_more_at_once_than_asked_for() -> None:
    found = said([Piece(speaks(name)) for name in "abcd"], 2)
    going = 0
    for word in found:
        going += 1 if word.endswith("begins") else -1
        assert going <= 2
    assert sorted(found) == sorted(f"{name} {what}" for name in "abcd" for what in ("begins", "ends"))


def test_those_that_wait_have_places_of_their_own() -> None:
    """Each begins only once all three are there: two that wait beside one that does not, though that one is behind."""
    go, here = os.pipe(), os.pipe()

    def meets(_connection: Connection) -> bool:
        os.write(here[1], b"x")
        return bool(select.select([go[0]], [], [], 10)[0])

    def lets_go(_connection: Connection) -> bool:
        came = b""
        while len(came) < 2 and select.select([here[0]], [], [], 10)[0]:
            came += os.read(here[0], 2)
        os.write(go[1], b"x")  # which nobody takes out: it lets all of them go
        return len(came) == 2

    pieces = [Piece(meets, waits=True), Piece(meets, waits=True), Piece(lets_go)]
    assert [each.what for each in in_parallel(pieces, 1, waiting=2)] == [True] * 3
    for end in (*go, *here):
        os.close(end)


def test_those_that_wait_count_as_others_where_they_have_no_places() -> None:
    pieces = [Piece(speaks(name), waits=name in "ab") for name in "abc"]
    assert said(pieces, 1) == ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]


def test_nothing_is_beside_what_asks_to_be_alone() -> None:
    found = said([Piece(speaks(name), alone=name in "bc") for name in "abcde"], 4)
    assert found[:6] == ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]
    assert {word[0] for word in found[6:]} == {"d", "e"}


def test_what_one_raises_comes_out() -> None:
    def refuses(_connection: Connection) -> str:
        raise UsageError("backlog=-1 can't be")

    def dies(_connection: Connection) -> str:
        os._exit(7)

    with pytest.raises(UsageError, match="backlog=-1"):
        said([Piece(speaks("a")), Piece(refuses)], 2)
    with pytest.raises(MachineError, match="died without a word"):
        said([Piece(dies)], 1)


# -- what the runner makes of it ---------------------------------------------------------------------------------------


def over(place: int, name: str) -> Event:
    done = {"name": name, "symptom": "", "side": "server", "status": "as_predicted"}
    return {"scenario": done, "place": place}


def test_results_are_told_in_their_order_however_they_come() -> None:
    told: list[LabScenario] = []
    collector = Collector(lambda _name, _stage: None, told.append)
    collector.hear(over(1, "second"))
    assert told == []
    assert [scenario.name for scenario in collector.scenarios] == ["second"]
    collector.hear(over(0, "first"))
    collector.hear(over(3, "fourth"))
    assert [one.name for one in told] == ["first", "second"]
    collector.tell_the_rest()  # the third was interrupted
    collector.tell_the_rest()
    assert (
        [one.name for one in told]
        == [scenario.name for scenario in collector.scenarios]
        == ["first", "second", "fourth"]
    )
