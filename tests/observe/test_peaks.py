from __future__ import annotations

import pytest
from tests.observe.test_queue_watch import seen

from estab.observe.peaks import Peaks, PlaceTotals

PLACE = ("127.0.0.1", 80)


def test_a_peak_between_two_looks_is_kept_until_the_next_turn() -> None:
    peaks = Peaks()
    for at, depth in enumerate((0, 5, 1)):
        peaks.add(at / 10, [seen(depth)])
    assert peaks.turn() == {10: 5}
    peaks.add(0.4, [seen(2)])
    assert peaks.turn() == {10: 2}
    assert peaks.turn() == {}


@pytest.mark.parametrize(("depth", "full_s"), [(4, 0.0), (5, 0.3), (6, 0.3)])
def test_full_is_one_more_than_the_limit(depth: int, full_s: float) -> None:
    peaks = Peaks()
    for at in range(4):
        peaks.add(at / 10, [seen(depth, limit=4)])
    assert peaks.totals[PLACE].full_s == pytest.approx(full_s)


def test_two_full_sockets_of_one_port_are_full_for_no_longer_than_the_clock_says() -> None:
    peaks = Peaks()
    for at in range(3):
        peaks.add(at / 10, [seen(5, inode=10), seen(5, inode=20)])
    assert peaks.totals[PLACE].full_s == pytest.approx(0.2)


def test_a_sample_after_a_long_standstill_does_not_stand_for_all_of_it() -> None:
    peaks = Peaks()
    peaks.add(0.0, [seen(5)])
    peaks.add(3600.0, [seen(5)])
    assert peaks.totals[PLACE].full_s == 1.0


def test_drops_go_on_when_one_of_two_sockets_closes_and_when_they_wrap() -> None:
    peaks = Peaks()
    peaks.add(0.0, [seen(0, inode=10, drops=2**32 - 2), seen(0, inode=20, drops=10)])
    assert peaks.totals[PLACE].drops == 2**32 + 8
    peaks.add(0.1, [seen(0, inode=10, drops=3), seen(0, inode=20, drops=10)])
    assert peaks.totals[PLACE].drops == 2**32 + 13
    peaks.add(0.2, [seen(0, inode=10, drops=4)])
    assert peaks.totals[PLACE].drops == 2**32 + 14


def test_drops_that_the_kernel_does_not_tell_are_not_0() -> None:
    peaks = Peaks()
    peaks.add(0.0, [seen(0, drops=None)])
    assert peaks.totals == {PLACE: PlaceTotals(drops=None)}


def test_what_is_gone_is_forgotten() -> None:
    peaks = Peaks()
    peaks.add(0.0, [seen(5, drops=9)])
    peaks.add(0.1, [])
    assert peaks.totals == {}
    assert peaks.turn() == {}
    peaks.add(0.2, [seen(0, inode=20, drops=0)])
    assert peaks.totals[PLACE].drops == 0
