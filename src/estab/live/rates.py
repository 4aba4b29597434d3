"""Rates from two moments: what a counter rose by a second. Pure; None wherever it cannot be known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

# What the view shows of a namespace's counters, by their names in a snapshot.
OVERFLOWS, DROPS = "TcpExt.ListenOverflows", "TcpExt.ListenDrops"
DEFER_DROPS = "TcpExt.TCPDeferAcceptDrop"
COUNTERS = {
    "Tcp.ActiveOpens": "opened",
    "Tcp.PassiveOpens": "arrived",
    OVERFLOWS: "overflows",
    DROPS: "listen drops",
    "Tcp.RetransSegs": "resent",
    "Tcp.AttemptFails": "failed connects",
    "Tcp.EstabResets": "resets",
    "TcpExt.SyncookiesSent": "cookies sent",
    "TcpExt.TCPTimeWaitOverflow": "TIME_WAIT skipped",
}


def elapsed_s(before_s: float | None, after_s: float) -> float | None:
    """Seconds between two moments (Unix time); None where there is one, or time did not go on."""
    if before_s is None or not math.isfinite(before_s) or not math.isfinite(after_s) or after_s <= before_s:
        return None
    return after_s - before_s


def rose(before: int | None, after: int | None) -> int | None:
    """What a counter rose by; None where either was not read, or where it fell (it began anew)."""
    return after - before if before is not None and after is not None and after >= before else None


def per_second(change: int | None, seconds: float | None) -> float | None:
    """`change` a second."""
    return None if change is None or seconds is None else change / seconds


def counter_rates(
    before: Mapping[str, int] | None, after: Mapping[str, int] | None, seconds: float | None
) -> dict[str, float] | None:
    """The rates of `COUNTERS` by counter, those that are known; None where the counters were not read twice."""
    if before is None or after is None or seconds is None:
        return None
    by_name = {name: per_second(rose(before.get(name), after.get(name)), seconds) for name in COUNTERS}
    return {name: rate for name, rate in by_name.items() if rate is not None}


def growth_per_s(points: Sequence[tuple[float, float]]) -> float | None:
    """The slope of (seconds, value) points by least squares; None where they are at one moment or fewer than two."""
    if len(points) < 2:
        return None
    mean_t = sum(t for t, _ in points) / len(points)
    mean_v = sum(v for _, v in points) / len(points)
    spread = sum((t - mean_t) * (t - mean_t) for t, _ in points)
    if not spread > 0:
        return None
    slope = sum((t - mean_t) * (v - mean_v) for t, v in points) / spread
    return slope if math.isfinite(slope) else None  # a damaged recording may name any moment


def summed(rates: Sequence[Mapping[str, float] | None]) -> dict[str, float] | None:
    """Rates of several namespaces together; None where none is known."""
    known = [by_name for by_name in rates if by_name is not None]
    if not known:
        return None
    return {
        name: sum(by_name[name] for by_name in known if name in by_name)
        for name in COUNTERS
        if any(name in o for o in known)
    }
