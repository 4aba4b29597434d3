"""Clocks of other hosts: how far they are off, and when they have to start. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from estab.records.cluster import Clock


@dataclass(frozen=True)
class ClockExchange:
    """A question and its answer: sent and back by our clock, the other's clock between; Unix time in seconds."""

    sent_s: float
    there_s: float
    back_s: float

    @property
    def round_trip_s(self) -> float:
        """From the question to the answer."""
        return self.back_s - self.sent_s

    @property
    def offset_s(self) -> float:
        """By how much the other clock is ahead, where both ways took equally long."""
        return self.there_s - (self.sent_s + self.back_s) / 2


def best(exchanges: Sequence[ClockExchange]) -> Clock:
    """The clock as the exchange with the shortest round trip shows it: its error is at most half of that."""
    shortest = min(exchanges, key=lambda exchange: exchange.round_trip_s)
    return Clock(
        offset_ms=round(shortest.offset_s * 1e3, 3),
        uncertainty_ms=round(shortest.round_trip_s / 2 * 1e3, 3),
        samples=len(exchanges),
    )


def correction_s(clock: Clock) -> float:
    """What is added to our time to have the other host's: its offset where that is more than it may be off.

    Clocks that NTP keeps agree better than the exchanges can tell; to correct those would make them worse.
    """
    return clock.offset_ms / 1e3 if abs(clock.offset_ms) > clock.uncertainty_ms else 0.0


def skew_ms(began_s: float, clock: Clock, agreed_s: float) -> float:
    """By how much a host began later than agreed; `began_s` is by its clock."""
    return round((began_s - correction_s(clock) - agreed_s) * 1e3, 3)


def spread_ms(skews: Iterable[float]) -> float | None:
    """From the first start to the last; None where fewer than two are known."""
    known = list(skews)
    return round(max(known) - min(known), 3) if len(known) > 1 else None


def uncertainty_ms(clocks: Iterable[Clock]) -> float | None:
    """How far a spread may be off: the two worst clocks of those that were set against each other."""
    worst = sorted((clock.uncertainty_ms for clock in clocks), reverse=True)[:2]
    return round(sum(worst), 3) if len(worst) == 2 else None
