"""Mann-Whitney U against published tables, against brute force, and against its own symmetries."""

from __future__ import annotations

from itertools import combinations
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estab.compare import ranks
from estab.compare.ranks import least_p, mann_whitney, runs_needed

# Critical values of U, two-sided: the greatest U with p <= alpha, None where there is none. Mann and Whitney (1947) as
# in S. Siegel, "Nonparametric Statistics" (1956), table K, and every textbook since.
CRITICAL_5 = {(3, 3): None, (3, 5): 0, (4, 4): 0, (4, 5): 1, (5, 5): 2, (5, 8): 6, (6, 6): 5, (8, 8): 13, (10, 10): 23,
              (7, 12): 18, (15, 15): 64, (20, 20): 127}  # fmt: skip
CRITICAL_1 = {(4, 4): None, (5, 5): 0, (6, 6): 2, (8, 8): 7, (10, 10): 16, (15, 15): 51, (20, 20): 105}
# Upper-tail probabilities P(U <= u) for n = m = 5 are counts out of 252: the partitions that fit a 5 by 5 box.
AT_MOST_5_5 = [1, 2, 4, 7, 12, 19, 28]


def with_u(n: int, m: int, u: int) -> tuple[list[float], list[float]]:
    """Two samples without ties in which the first is greater in exactly `u` of the n * m pairs."""
    b = [float(10 * i) for i in range(1, m + 1)]
    a = []
    for at in range(n):
        over = min(m, u)
        u -= over
        a.append(10.0 * over + 5 + at / 100)
    return a, b


@pytest.mark.parametrize(("table", "alpha"), [(CRITICAL_5, 0.05), (CRITICAL_1, 0.01)])
def test_critical_values_of_the_tables(table: dict[tuple[int, int], int | None], alpha: float) -> None:
    for (n, m), critical in table.items():
        found = [u for u in range(n * m // 2 + 1) if mann_whitney(*with_u(n, m, u)).p <= alpha]
        assert (max(found) if found else None) == critical, (n, m)


def test_exact_probabilities_of_five_and_five() -> None:
    for u, count in enumerate(AT_MOST_5_5):
        found = mann_whitney(*with_u(5, 5, u))
        assert found.u == u
        assert found.p == pytest.approx(2 * count / 252)


def brute_force(a: list[float], b: list[float]) -> float:
    """The share of all regroupings whose U is as far from its mean as that of (a, b)."""

    def u_of(left: list[float], right: list[float]) -> float:
        return sum((x > y) + 0.5 * (x == y) for x in left for y in right)

    both, mean = [*a, *b], len(a) * len(b) / 2
    far = abs(u_of(a, b) - mean)
    chosen = list(combinations(range(len(both)), len(a)))
    hits = 0
    for indices in chosen:
        left = [both[i] for i in indices]
        right = [both[i] for i in range(len(both)) if i not in indices]
        hits += abs(u_of(left, right) - mean) >= far - 1e-9
    return hits / len(chosen)


few = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=5)
values = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(few, few)
def test_exact_with_ties_is_the_permutation_test(a: list[float], b: list[float]) -> None:
    assert mann_whitney(a, b).p == pytest.approx(brute_force(a, b))


@settings(deadline=None)
@given(values, values)
def test_symmetries(a: list[float], b: list[float]) -> None:
    forth, back = mann_whitney(a, b), mann_whitney(b, a)
    assert forth.p == pytest.approx(back.p)
    assert forth.u + back.u == len(a) * len(b)
    assert 0 < forth.p <= 1 + 1e-12
    doubled = mann_whitney([4 * x for x in a], [4 * x for x in b])
    assert doubled.u == forth.u, "ranks alone count"


def test_equal_samples_show_nothing() -> None:
    assert mann_whitney([3.0] * 5, [3.0] * 5).p == 1
    assert mann_whitney([3.0] * 50, [3.0] * 50).p == 1


@pytest.mark.parametrize("u", [40, 90, 138, 170, 199])
def test_the_approximation_is_near_the_exact(u: int, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = with_u(20, 20, u)
    exact = mann_whitney(a, b).p
    monkeypatch.setattr(ranks, "MOST_EXACT", 0)
    assert mann_whitney(a, b).p == pytest.approx(exact, abs=0.006)


def test_the_approximation_without_ties_is_the_formula() -> None:
    a, b = with_u(30, 30, 300)
    z = (450 - 300 - 0.5) / (30 * 30 * 61 / 12) ** 0.5
    assert mann_whitney(a, b).p == pytest.approx(2 * NormalDist().cdf(-z))


def test_how_few_runs_can_tell() -> None:
    assert least_p(3, 3) == pytest.approx(0.1)
    assert least_p(4, 4) == pytest.approx(2 / 70)
    assert least_p(1, 1) == 1
    assert [runs_needed(alpha) for alpha in (0.1, 0.05, 0.01, 0.001)] == [3, 4, 5, 7]


@pytest.mark.parametrize(("a", "b"), [([], [1.0]), ([1.0], [])])
def test_an_empty_sample(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="value on each side"):
        mann_whitney(a, b)
