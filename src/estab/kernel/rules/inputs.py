"""What the rules refuse to be asked: one error and the checks that raise it. No rule lives here."""

from __future__ import annotations

from estab.errors import UsageError


class RuleInputError(UsageError, ValueError):
    """A number that no kernel would have (a backlog queue of -1, port 70000). The message carries name and value."""


def at_least(name: str, value: float, minimum: float) -> None:
    """Raise RuleInputError unless `value` >= `minimum`."""
    if value < minimum:
        raise RuleInputError(f"{name} is {value}: it must be {minimum} or more")


def within(name: str, value: float, low: float, high: float) -> None:
    """Raise RuleInputError unless `low` <= `value` <= `high`."""
    if not low <= value <= high:
        raise RuleInputError(f"{name} is {value}: it must be between {low} and {high}")


def one_of(name: str, value: int, allowed: tuple[int, ...]) -> None:
    """Raise RuleInputError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise RuleInputError(f"{name} is {value}: it must be one of {', '.join(map(str, allowed))}")
