"""Pairs of figures to ratios, and ratios to a verdict. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

Better = Literal["higher", "lower"]
TURN_S = 0.5


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


def is_watched(at_s: float) -> bool:
    """Whether a moment lies in a turn that is watched: every other one of `TURN_S` seconds."""
    return int(at_s / TURN_S) % 2 == 1


def in_turn(counts: Sequence[tuple[float, int]]) -> float:
    """The median ratio of the rate in a watched turn to the mean of the turns beside it. `counts`: by time, so far.

    The first turn and the last are left out: the load begins and ends in them. Raises ValueError for fewer than three.
    """
    grew, took_s = defaultdict[int, int](int), defaultdict[int, float](float)
    for (then_s, before), (now_s, now) in pairwise(counts):
        turn = int(then_s / TURN_S)
        if turn == int(now_s / TURN_S):
            grew[turn] += now - before
            took_s[turn] += now_s - then_s
    rates = {turn: grew[turn] / took_s[turn] for turn in sorted(grew)[1:-1]}
    watched = [turn for turn in rates if is_watched(turn * TURN_S) and {turn - 1, turn + 1} <= rates.keys()]
    if not watched:
        raise ValueError(f"no watched turn of {TURN_S:g} s between two others in {len(counts)} counts")
    return median(2 * rates[turn] / (rates[turn - 1] + rates[turn + 1]) for turn in watched)
