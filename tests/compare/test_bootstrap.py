"""The intervals, against drawing for real, against published tables and against coverage."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from itertools import product
from math import comb
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estab.compare.bootstrap import bootstrap_median, percentile_ranks, ratio_of_medians


@pytest.mark.parametrize(
    "sample", [[1.0], [1.0, 5.0], [1.0, 5.0, 9.0], [2.0, 2.0, 7.0, 8.0], [1.0, 2.0, 4.0, 8.0, 16.0]]
)
def test_bootstrap_median_is_that_of_all_draws(sample: list[float]) -> None:
    drawn = Counter(median(draw) for draw in product(sample, repeat=len(sample)))
    found = dict(bootstrap_median(sample))
    assert {value for value, weight in found.items() if weight > 1e-12} == set(drawn)
    for value, count in drawn.items():
        assert found[value] == pytest.approx(count / len(sample) ** len(sample))


@settings(deadline=None)
@given(st.lists(st.floats(0.1, 1e6), min_size=1, max_size=25))
def test_bootstrap_median_is_a_distribution(sample: list[float]) -> None:
    found = bootstrap_median(sample)
    assert sum(weight for _value, weight in found) == pytest.approx(1)
    assert all(weight >= -1e-12 for _value, weight in found)
    assert min(sample) <= found[0][0]
    assert found[-1][0] <= max(sample)


def test_ratio_of_medians_is_that_of_all_draws() -> None:
    a, b = [10.0, 11.0, 13.0, 14.0], [19.0, 22.0, 23.0, 30.0]
    medians = [sorted(median(draw) for draw in product(side, repeat=4)) for side in (a, b)]
    ratios = sorted(top / bottom for bottom in medians[0] for top in medians[1])
    low, high = ratio_of_medians(a, b) or (0.0, 0.0)
    assert low == pytest.approx(ratios[int(0.025 * len(ratios))], rel=0.01)
    assert high == pytest.approx(ratios[int(0.975 * len(ratios))], rel=0.01)


@settings(deadline=None)
@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=9), st.lists(st.floats(1, 1e6), min_size=1, max_size=9))
def test_ratio_of_medians_stays_within_what_was_seen(a: list[float], b: list[float]) -> None:
    low, high = ratio_of_medians(a, b) or (-1.0, -1.0)
    assert min(b) / max(a) * (1 - 1e-9) <= low <= high <= max(b) / min(a) * (1 + 1e-9)


def test_many_runs_are_thinned_and_stay_near() -> None:
    a, b = [float(i) for i in range(100, 160)], [float(2 * i) for i in range(100, 160)]
    low, high = ratio_of_medians(a, b) or (0.0, 0.0)
    assert low < 2 < high
    assert high - low < 0.5


def test_no_ratio_of_nothing() -> None:
    assert ratio_of_medians([0.0, 1.0], [1.0]) is None
    assert ratio_of_medians([], [1.0]) is None


# Ranks of the 95% interval of a median: the table of W. J. Conover, "Practical Nonparametric Statistics", and of every
# textbook on the sign test (n: rank counted from below, the other from above).
@pytest.mark.parametrize(
    ("count", "rank"), [(6, 1), (8, 1), (9, 2), (10, 2), (12, 3), (15, 4), (20, 6), (25, 8), (30, 10)]
)
def test_ranks_of_the_median_as_in_the_tables(count: int, rank: int) -> None:
    assert percentile_ranks(count, 0.5) == (rank, count + 1 - rank)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_too_few_for_a_median(count: int) -> None:
    assert percentile_ranks(count, 0.5) is None


def test_too_few_for_a_p99() -> None:
    assert percentile_ranks(300, 0.99) is None, "368 is the least count with 0.99^n <= 2.5%"
    assert percentile_ranks(368, 0.99) is not None
    assert percentile_ranks(367, 0.99) is None


@pytest.mark.parametrize(("count", "quantile"), [(40, 0.5), (200, 0.9), (1500, 0.99), (1999, 0.75)])
def test_exact_ranks_cover_and_are_the_tightest(count: int, quantile: float) -> None:
    low, high = percentile_ranks(count, quantile) or (0, 0)
    p = Fraction(quantile).limit_denominator(100)
    above = p.denominator - p.numerator
    # In whole numbers, of `p.denominator ** count`: a fraction would be made smaller at each step.
    weights = [comb(count, k) * p.numerator**k * above ** (count - k) for k in range(max(low, high) + 1)]

    def below(rank: int) -> float:
        """P(fewer than `rank` values lie below the true quantile)."""
        return float(Fraction(sum(weights[:rank]), p.denominator**count))

    assert below(low) <= 0.025 < below(low + 1)
    assert 1 - below(high) <= 0.025 < 1 - below(high - 1)


def test_the_approximation_joins_the_exact() -> None:
    exact, near = percentile_ranks(2_000, 0.9), percentile_ranks(2_001, 0.9)
    assert exact is not None
    assert near is not None
    assert abs(exact[0] - near[0]) <= 2
    assert abs(exact[1] - near[1]) <= 3


def test_the_interval_covers_as_often_as_it_says() -> None:
    source, hits = random.Random(1), 0
    ranks = percentile_ranks(500, 0.9)
    assert ranks is not None
    for _ in range(1_000):
        drawn = sorted(source.random() for _ in range(500))
        hits += drawn[ranks[0] - 1] <= 0.9 <= drawn[ranks[1] - 1]
    assert 930 <= hits <= 985
