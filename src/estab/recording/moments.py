"""Moments as people type them: `02:13`, `02:13:04`, `2026-11-26T03:00`, `2026-11-26`; in UTC, as all are shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from estab.errors import UsageError

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")


@dataclass(frozen=True)
class Span:
    """From when to when (Unix time); None: no bound."""

    since_s: float | None = None
    until_s: float | None = None

    def holds(self, at_s: float) -> bool:
        """Whether a moment lies in it. A time that is none lies in that without bounds alone."""
        return not ((self.since_s is not None and not at_s >= self.since_s) or self._is_past(at_s))

    def _is_past(self, at_s: float) -> bool:
        return self.until_s is not None and not at_s <= self.until_s


def has_a_day(text: str) -> bool:
    """Whether it says its day; of a time of day alone the recording's end tells which is meant."""
    return _CLOCK.fullmatch(text.strip()) is None


def moment(text: str, end_s: float, *, after_s: float | None = None) -> float:
    """Unix time of `text`. A time of day is the last one before `end_s`; with `after_s` the first one after that.

    Raises UsageError for what is no moment.
    """
    said = text.strip()
    if (match := _CLOCK.fullmatch(said)) is None:
        try:
            at = datetime.fromisoformat(said)
        except ValueError:
            raise _no_moment(text) from None
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
    hour, minute, second = (int(part or 0) for part in match.groups())
    if hour > 23 or minute > 59 or second > 59:
        raise _no_moment(text)
    base = datetime.fromtimestamp(end_s if after_s is None else after_s, UTC)
    at = base.replace(hour=hour, minute=minute, second=second, microsecond=0)
    if after_s is not None:
        return (at if at >= base else at + timedelta(days=1)).timestamp()
    return (at if at <= base else at - timedelta(days=1)).timestamp()


def _no_moment(text: str) -> UsageError:
    return UsageError(f"{text!r} is no moment; write it as 02:13, 02:13:04, 2026-11-26T03:00 or 2026-11-26 (UTC)")
