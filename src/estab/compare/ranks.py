"""The Mann-Whitney U test: is one sample's typical value greater, or is that chance? Exact for small samples.

Source: H. B. Mann and D. R. Whitney, "On a test of whether one of two random variables is stochastically larger than
the other", Annals of Mathematical Statistics 18 (1947). Ties: midranks, and the exact distribution given those ranks
(E. L. Lehmann, "Nonparametrics", 1975, section 1.4); for large samples the normal approximation with the correction
for ties and for continuity (same, section 1.2 to 1.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, sqrt
from statistics import NormalDist

MOST_EXACT = 40  # values in both samples together: about a million steps


@dataclass(frozen=True)
class MannWhitney:
    """`u` counts the pairs in which the first sample's value is the greater, a tie as one half. `p` is two-sided.

    `least_p` is the smallest p that samples of this size can have, all values being different: with three a side 0.1.
    """

    u: float
    p: float
    least_p: float


def mann_whitney(a: Sequence[float], b: Sequence[float]) -> MannWhitney:
    """The test of two samples, each of one value or more. Raises ValueError where one is empty."""
    if not a or not b:
        raise ValueError("Mann-Whitney needs a value on each side")
    ranks = _doubled_midranks([*a, *b])
    rank_sum = sum(ranks[: len(a)])
    u = rank_sum / 2 - len(a) * (len(a) + 1) / 2
    exact = len(a) + len(b) <= MOST_EXACT
    p = _exact(ranks, len(a), rank_sum) if exact else _approximate(ranks, len(a), u)
    return MannWhitney(u=u, p=p, least_p=least_p(len(a), len(b)))


def least_p(n: int, m: int) -> float:
    """The smallest two-sided p of samples of `n` and `m` different values: one order of all, from either end."""
    return min(1.0, 2 / comb(n + m, n))


def runs_needed(alpha: float) -> int:
    """How many runs a side, alike in number, can give a p of at most `alpha`."""
    return next(n for n in range(1, 64) if least_p(n, n) <= alpha)


def _doubled_midranks(values: Sequence[float]) -> list[int]:
    """Twice the rank of each value, counted from 1; equal values share the mean of theirs. Twice: so it is whole."""
    ordered = sorted(values)
    first = {value: at for at, value in reversed(list(enumerate(ordered)))}
    last = {value: at for at, value in enumerate(ordered)}
    return [first[value] + last[value] + 2 for value in values]


def _exact(ranks: Sequence[int], n: int, observed: int) -> float:
    """The share of all ways to draw `n` of the ranks whose sum lies as far from the mean as `observed`, or further."""
    # Twice the mean of a doubled rank sum, n (N + 1), kept whole: 2 * sum against 2 * n * (N + 1).
    mean = n * (len(ranks) + 1)
    far = abs(observed - mean)
    as_far = sum(count for total, count in _ways(tuple(sorted(ranks)), n).items() if abs(total - mean) >= far)
    return as_far / comb(len(ranks), n)


@lru_cache(maxsize=16)  # a comparison asks it of each figure, and most have the same ranks
def _ways(ranks: tuple[int, ...], n: int) -> dict[int, int]:
    """In how many ways `n` of the ranks have each sum."""
    ways: list[dict[int, int]] = [{0: 1}, *({} for _ in range(n))]
    for rank in ranks:
        for size in range(n, 0, -1):
            into = ways[size]
            for total, count in ways[size - 1].items():
                into[total + rank] = into.get(total + rank, 0) + count
    return ways[n]


def _approximate(ranks: Sequence[int], n: int, u: float) -> float:
    total = len(ranks)
    m = total - n
    ties = sum(count**3 - count for count in {rank: ranks.count(rank) for rank in set(ranks)}.values())
    variance = n * m / 12 * ((total + 1) - ties / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    z = max(0.0, abs(u - n * m / 2) - 0.5) / sqrt(variance)
    return 2 * NormalDist().cdf(-z)
