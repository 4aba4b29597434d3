"""Intervals: of the ratio of two medians by the bootstrap, and of one percentile by order statistics. Exact, no chance.

The bootstrap draws each sample anew from itself. For a median the outcome of all n^n draws can be counted instead of
drawn: B. Efron, "The Jackknife, the Bootstrap and Other Resampling Plans" (1982), section 10.3; J. S. Maritz and
R. G. Jarrett, Journal of the American Statistical Association 73 (1978). So the same samples give the same interval.
With fewer than about eight runs it is too narrow: it can't reach beyond what was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, comb, exp, floor, lgamma, log, sqrt
from statistics import NormalDist

MOST_POINTS = 400
_EXACT_COUNT = 2_000

Weighted = list[tuple[float, float]]


def bootstrap_median(sample: Sequence[float]) -> Weighted:
    """(value, probability) of the median of a sample drawn from `sample` with replacement, values ascending."""
    x = sorted(sample)
    n = len(x)
    weights: dict[float, float] = {}
    for i in range(1, n + 1):
        if n % 2:
            half = n // 2 + 1
            weights[x[i - 1]] = weights.get(x[i - 1], 0.0) + _at_least(half, n, i / n) - _at_least(half, n, (i - 1) / n)
            continue
        half = n // 2
        # The two middle values at ranks i < j of the sample: `half` draws up to i with the greatest there, the rest
        # from j on with the least there.
        low = (i / n) ** half - ((i - 1) / n) ** half
        rest = _at_least(half, n, i / n) - _at_least(half, n, (i - 1) / n)
        for j in range(i + 1, n + 1):
            both = comb(n, half) * low * (((n - j + 1) / n) ** half - ((n - j) / n) ** half)
            middle = (x[i - 1] + x[j - 1]) / 2
            weights[middle] = weights.get(middle, 0.0) + both
            rest -= both
        weights[x[i - 1]] = weights.get(x[i - 1], 0.0) + max(0.0, rest)
    return sorted(weights.items())


def ratio_of_medians(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """Between which bounds median(b) / median(a) lies, by the bootstrap. None where a median can be 0 or less."""
    if not a or not b or min(a) <= 0:
        return None
    below, above = _thinned(bootstrap_median(a)), _thinned(bootstrap_median(b))
    ratios = sorted((value / base, share * weight) for base, weight in below for value, share in above)
    tail = (1 - confidence) / 2
    return _quantile(ratios, tail), _quantile(ratios, 1 - tail)


def percentile_ranks(count: int, quantile: float, confidence: float = 0.95) -> tuple[int, int] | None:
    """The ranks (from 1) of `count` values between which the true quantile lies. None where there are too few.

    The number of values below the true quantile is binomial, whatever the distribution: H. A. David and H. N. Nagaraja,
    "Order Statistics" (2003), section 7.1. It holds for values that do not depend on each other.
    """
    tail = (1 - confidence) / 2
    if count <= 0 or not 0 < quantile < 1:
        return None
    if count > _EXACT_COUNT and count * min(quantile, 1 - quantile) > 50:
        half = NormalDist().inv_cdf(1 - tail) * sqrt(count * quantile * (1 - quantile))
        low, high = floor(count * quantile - half), ceil(count * quantile + half) + 1
    else:
        low, high = _binomial_ranks(count, quantile, tail)
    return (low, high) if low >= 1 and high <= count else None


def _binomial_ranks(count: int, quantile: float, tail: float) -> tuple[int, int]:
    """The greatest rank with at most `tail` of the count below it, and the least with at most `tail` from it on."""
    center = floor(count * quantile)
    reach = ceil(12 * sqrt(count * quantile * (1 - quantile))) + 12
    first, last = max(0, center - reach), min(count, center + reach)
    below, low, high = 0.0, 0, last + 1
    for successes in range(first, last + 1):
        if below <= tail:
            low = successes
        below += _binomial(successes, count, quantile)
        if 1 - below <= tail:
            high = successes + 1
            break
    return low, high


def _binomial(k: int, n: int, p: float) -> float:
    return exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log(1 - p))


def _at_least(k: int, n: int, p: float) -> float:
    """The probability of `k` or more successes in `n` draws, each with probability `p`."""
    return sum(comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k, n + 1))


def _thinned(points: Weighted) -> Weighted:
    """At most MOST_POINTS points of equal weight with the same quantiles, so that a product of two stays small."""
    if len(points) <= MOST_POINTS:
        return points
    return [(_quantile(points, (at + 0.5) / MOST_POINTS), 1 / MOST_POINTS) for at in range(MOST_POINTS)]


def _quantile(points: Weighted, share: float) -> float:
    """The least value with at least `share` of the weight at or below it."""
    seen = 0.0
    for value, weight in points:
        seen += weight
        if seen >= share - 1e-12:
            return value
    return points[-1][0]
