"""The searches against servers that are one number each: they find it, whatever it is."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from estab.load.search import (
    MOST_ROUNDS,
    MOST_STEPS,
    NEAR,
    NEAR_S,
    NEAR_SHARE,
    CeilingSearch,
    IdleSearch,
    RateSearch,
    SizeSearch,
)


def find(true: int, most: int, first: int, reach: float = 1.0) -> CeilingSearch:
    """A server that holds `true`, of which an overloaded attempt reaches a share."""
    search = CeilingSearch(most, first)
    while (asked := search.next()) is not None:
        assert 1 <= asked <= most
        if asked <= true:
            search.held(asked)
        else:
            search.failed(asked, int(true * reach))
    return search


@given(
    true=st.integers(1, 2_000_000), most=st.integers(1, 2_000_000), first=st.integers(1, 100_000), reach=st.floats(0, 1)
)
@example(true=524_288, most=1_048_576, first=1, reach=0.0)
@example(true=1_048_577, most=2_000_000, first=1, reach=0.0)
@example(true=1_999_999, most=2_000_000, first=1, reach=0.5)
def test_the_ceiling_is_found_exactly(true: int, most: int, first: int, reach: float) -> None:
    search = find(true, most, min(first, most), reach)
    assert search.steps < MOST_STEPS
    assert search.low == min(true, most)
    assert search.confirmed == (true < most)


def test_a_prediction_that_is_right_needs_three_attempts() -> None:
    assert find(true=20_000, most=1_000_000, first=20_001).steps == 2
    assert find(true=20_000, most=1_000_000, first=20_500).steps == 3


def test_a_server_that_holds_nothing() -> None:
    search = find(true=0, most=100, first=10)
    assert (search.low, search.confirmed) == (0, False)


def test_a_server_that_forgets_nothing_is_given_up() -> None:
    """The first attempt reaches 129; what it left behind keeps every later one from fitting."""
    search = CeilingSearch(most=1000, first=200)
    search.failed(200, 129)
    while (asked := search.next()) is not None:
        search.failed(asked, 0)
    assert search.low == 0
    assert not search.confirmed


@given(true=st.floats(2.0, 2e6), first=st.floats(1.0, 1e6))
def test_the_rate_is_found_within_five_percent(true: float, first: float) -> None:
    search = RateSearch(first)
    while (rate := search.next()) is not None:
        search.tried(rate, good=rate <= true)
    assert search.confirmed
    assert search.best is not None
    assert true / NEAR <= search.best <= true


def test_a_rate_that_was_good_by_luck_is_given_back() -> None:
    search = RateSearch(100.0)
    for rate, good in [(100.0, True), (200.0, True), (400.0, False)]:
        assert search.next() == rate
        search.tried(rate, good=good)
    while (asked := search.next()) not in (None, search.best):
        search.tried(asked, good=True)
    lucky = search.best
    search.tried(lucky or 0, good=False)
    assert search.best is not None
    assert search.best < (lucky or 0)


@pytest.mark.parametrize("first", [1000.0])
def test_no_rate_is_good(first: float) -> None:
    search = RateSearch(first)
    while (rate := search.next()) is not None:
        search.tried(rate, good=False)
    assert search.best is None
    assert search.steps < MOST_STEPS


def test_no_rate_below_the_least_is_tried() -> None:
    search = RateSearch(1000.0, least=15.0)
    asked = []
    while (rate := search.next()) is not None:
        asked.append(rate)
        search.tried(rate, good=False)
    assert asked == [1000.0, 250.0, 62.5, 15.625]


# An idle time ------------------------------------------------------------------------------------------------------


def find_idle(forgets_s: float, most_s: float) -> IdleSearch:
    """Something that forgets after so long: who rests for less is answered, who rests for longer is not."""
    search = IdleSearch(most_s)
    while (gaps_s := search.next()) is not None:
        assert list(gaps_s) == sorted(set(gaps_s))
        assert 0 < gaps_s[0] <= gaps_s[-1] <= most_s
        borne = [gap_s for gap_s in gaps_s if gap_s < forgets_s]
        search.tried(max(borne, default=None), min(set(gaps_s) - set(borne), default=None), None)
    return search


@given(forgets_s=st.floats(0.01, 1000), most_s=st.floats(0.1, 1000))
@example(forgets_s=5.0, most_s=120.0)
@example(forgets_s=0.01, most_s=1000.0)
def test_an_idle_time_lies_between_what_was_borne_and_what_was_not(forgets_s: float, most_s: float) -> None:
    search = find_idle(forgets_s, most_s)
    if forgets_s > most_s:
        assert (search.borne_s, search.lost_s) == (most_s, None)
        return
    assert search.lost_s is not None
    assert search.borne_s < forgets_s <= search.lost_s
    assert search.rounds <= MOST_ROUNDS
    assert search.is_near
    assert search.lost_s - search.borne_s <= min(NEAR_S, NEAR_SHARE * search.lost_s)


@pytest.mark.parametrize(("forgets_s", "rounds"), [(5.0, 2), (60.0, 3), (250.0, 3), (350.0, 1)])
def test_few_rounds_are_enough(forgets_s: float, rounds: int) -> None:
    assert find_idle(forgets_s, 300).rounds == rounds


def test_what_ends_by_itself_needs_no_second_round() -> None:
    search = IdleSearch(120)
    search.tried(5.0, None, 7.0)
    assert search.next() is None


def test_rests_that_contradict_each_other_come_to_an_end() -> None:
    search, turn = IdleSearch(10), 0
    while (gaps_s := search.next()) is not None:
        turn += 1
        search.tried(gaps_s[-1] if turn % 2 else None, gaps_s[0], None)
    assert search.rounds <= MOST_ROUNDS
    assert not search.is_near


@given(passes=st.integers(536, 9000), high=st.integers(1, 65_000), at_once=st.integers(1, 8))
def test_a_size_is_found_to_the_byte(passes: int, high: int, at_once: int) -> None:
    search, tried = SizeSearch(576, 576 + high), 0
    border = min(max(passes, 576), 576 + high - 1)
    while sizes := search.next(at_once):
        assert all(search.passes < size < search.fails for size in sizes)
        assert len(set(sizes)) == len(sizes) <= at_once
        search.tried({size: size <= border for size in sizes})
        tried += 1
    assert (search.passes, search.fails) == (border, border + 1)
    assert tried <= 17


def test_a_size_that_chance_let_through_does_not_mislead() -> None:
    search = SizeSearch(576, 1500)
    search.tried({700: True, 900: False, 1200: True})
    assert (search.passes, search.fails) == (700, 900)
