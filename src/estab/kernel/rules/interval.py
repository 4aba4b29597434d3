"""`Interval`: a prediction that is honest about what it cannot know. No rule lives here."""

from __future__ import annotations

from dataclasses import dataclass

from estab.kernel.rules.inputs import RuleInputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """What a rule predicts: a number from `low` to `high`, both included. `high` None: no upper bound is known.

    Where `low` equals `high` the prediction is exact. Units stand in the name of the field that holds it.
    """

    low: float
    high: float | None

    def __post_init__(self) -> None:
        if self.high is not None and self.high < self.low:
            raise RuleInputError(f"interval from {self.low} to {self.high}: its end is below its start")

    @property
    def exact(self) -> bool:
        """Whether it is one number."""
        return self.low == self.high

    def __contains__(self, value: float) -> bool:
        return self.low <= value and (self.high is None or value <= self.high)

    def __add__(self, other: Interval) -> Interval:
        unbounded = self.high is None or other.high is None
        return Interval(low=self.low + other.low, high=None if unbounded else (self.high or 0) + (other.high or 0))

    def __str__(self) -> str:
        if self.high is None:
            return f"{self.low:g} or more"
        return f"{self.low:g}" if self.exact else f"{self.low:g} to {self.high:g}"


def exactly(value: float) -> Interval:
    """The interval that holds `value` alone."""
    return Interval(low=value, high=value)


def spanning(values: list[float]) -> Interval:
    """The smallest interval that holds all of `values`. Raises RuleInputError for an empty list."""
    if not values:
        raise RuleInputError("an interval of no values: give at least one")
    return Interval(low=min(values), high=max(values))
