"""Numbers, times and recorded strings as words. Pure; None and NaN give a dash, and nothing raises."""

from __future__ import annotations

import math

from estab.records import Failure

DASH = "-"


def clean(text: str) -> str:
    """`text` in one line without control characters: a record from elsewhere must not move the cursor."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def example_of(failure: Failure) -> str:
    """Where the first failure of its kind was and, of a reply, how that began."""
    began = f'began "{failure.first_bytes}"' if failure.first_bytes else ""
    return clean(", ".join(filter(None, (failure.example, began))))


def count(value: int | float | None) -> str:
    """A count with thousands separated: `91,224`."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:,.0f}"


def significant(value: float) -> str:
    """A value below 1000 with three significant digits: `0.052`, `1.25`, `31.4`, `512`."""
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def seconds(value: float | None, micro: str = "us") -> str:
    """A time in the unit that suits it: `52.0 us`, `1.25 ms`, `3.02 s`."""
    if value is None or not math.isfinite(value):
        return DASH
    if value < 0.000_999_5:
        return f"{significant(value * 1e6)} {micro}"
    if value < 0.999_5:
        return f"{significant(value * 1e3)} ms"
    return f"{significant(value)} s" if value < 999.5 else f"{value:,.0f} s"


def size(value: float | None) -> str:
    """Bytes in decimal units: `64 B`, `127.7 MB`."""
    if value is None or not math.isfinite(value):
        return DASH
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 999.95:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def percent(part: int, whole: int) -> str:
    """`32%`; 100% and 0% only where it is all or nothing."""
    if whole <= 0:
        return ""
    if part not in (0, whole):
        return f"{min(99, max(1, round(100 * part / whole)))}%"
    return "100%" if part else "0%"


def setting_value(kind: str, value: float | str | None) -> str:
    """A setting of a scenario as `--set` takes it: `20ms`, `yes`, `128`."""
    if kind == "seconds" and isinstance(value, int | float):
        return f"{value * 1000:g}ms" if value < 1 else f"{value:g}s"
    if kind == "bool":
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
