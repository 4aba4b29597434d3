"""What a load with gaps tells of its rests, before anybody is accused."""

from __future__ import annotations

from tests.diagnose import runs

from estab.diagnose.idle_times import evidence, idle_times


def test_rests_are_parted_by_one_time() -> None:
    times = idle_times(runs.rested(runs.borne(1), runs.borne(5), runs.ended(10, closed=2), runs.ended(30, closed=2)))
    assert times.longest_borne_s == 5
    assert (times.parted, times.outlived, times.connections) == (True, True, 4)
    assert times.rested_s == (7.0, 7.1)


def test_what_was_answered_and_then_ended_is_mixed() -> None:
    some = runs.ended(1, closed=2).replace(answered=6)
    times = idle_times(runs.rested(some, runs.ended(5, closed=2)))
    assert (times.borne, times.mixed) == ([], [some])
    assert (times.longest_borne_s, times.parted, times.outlived) == (None, False, False)


def test_a_mixed_rest_may_lie_on_the_border_alone() -> None:
    some = runs.ended(6, silent=1).replace(answered=1)
    assert idle_times(runs.rested(runs.borne(5), some, runs.ended(7, silent=2))).parted
    assert not idle_times(runs.rested(runs.borne(5), runs.ended(7, silent=2), some.replace(gap_s=8))).parted
    assert not idle_times(runs.rested(runs.ended(5, silent=2), runs.borne(7))).parted


def test_to_outlive_is_to_be_answered_after_the_last_end() -> None:
    early = runs.borne(1).replace(last_answer_s=7.0)
    assert not idle_times(runs.rested(early, runs.ended(10, closed=2))).outlived
    assert idle_times(runs.rested(early, runs.borne(2), runs.ended(10, closed=2))).outlived


def test_what_never_rested_is_nothing() -> None:
    times = idle_times(runs.rested(runs.borne(1).replace(rested=0, answered=0, last_answer_s=None)))
    assert (times.borne, times.ended, times.mixed) == ([], [], [])
    assert (times.connections, times.rested_s, times.moments_s) == (0, None, None)
    assert [fact.value for fact in evidence(times)] == [None]


def test_a_run_without_gaps_has_no_idle_times() -> None:
    assert idle_times(runs.run()).connections == 0
