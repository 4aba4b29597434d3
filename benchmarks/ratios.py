"""Pairs of figures to ratios, and ratios to a verdict. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Spread:
    """The least, the middle and the greatest of some figures."""

    least: float
    median: float
    most: float


def spread(values: Sequence[float]) -> Spread | None:
    """The spread of `values`; None where there are none."""
    return Spread(min(values), median(values), max(values)) if values else None


def ratio(own: float, peer: float, better: Better) -> float:
    """How many times better `own` is than `peer`: above 1 where estab is ahead, whichever way is better."""
    top, bottom = (own, peer) if better == "higher" else (peer, own)
    if bottom <= 0:
        raise ValueError(f"no ratio of {own:g} and {peer:g}: both must be above 0")
    return top / bottom


def ratios(pairs: Sequence[tuple[float, float]], better: Better) -> list[float]:
    """The ratio of each (own, peer) pair."""
    return [ratio(own, peer, better) for own, peer in pairs]


def met(figures: Sequence[float], target: float | None, better: Better = "higher") -> bool | None:
    """Whether the median reaches the target; None without target or figures."""
    if target is None or not figures:
        return None
    return median(figures) >= target if better == "higher" else median(figures) <= target
