"""What a setting may be. A name means the same in all scenarios, so its bounds stand here once.

Bounds are those of the kernel where it has some (a sysctl's own minimum and maximum, `int` elsewhere), and what two
hosts on one machine can bear where it has none: 20,000 connections, 10 s of round trip.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

Value = int | float | str | bool | None
_INT = 2**31 - 1  # the kernel keeps these in an int


@dataclass(frozen=True)
class Range:
    """From `least` to `most`, both included; or one of `choices`; or, with neither, text that `words` describe."""

    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    words: str = "text"


_SECONDS = Range(0.0, 600.0)
_ANY_INT = Range(0, _INT)
_RANGES = MappingProxyType(
    {
        "abort": Range(0, 1),
        "ask": Range(0, 16 << 20),
        "attempts": Range(1, 20_000),
        "backlog": Range(0, _INT),
        "beyond": Range(-20_000, 20_000),
        "bound": Range(0, 200),
        "burners": Range(0, 64),
        "connections": Range(1, 20_000),
        "cookies": Range(0, 2),
        "defer": Range(0, _INT),
        "every": Range(0, 20_000),
        "filter": Range(choices=("none", "drop", "reset", "unreachable", "prohibited")),
        "fin_timeout": Range(1, _INT),
        "flows": Range(1, 20_000),
        "later": Range(0, _INT),
        "linear": Range(0, 255),
        "max_syn_backlog": Range(1, _INT),
        "nofile": Range(32, 20_000),
        "pool": Range(0, 20_000),
        "ports": Range(1, 60_000),
        "reuse": Range(0, 2),
        "rfc1337": Range(0, 1),
        "rtt_s": Range(0.0, 10.0),
        "size": Range(1, 16 << 20),
        "somaxconn": Range(0, _INT),
        "sources": Range(1, 2),
        "spread": Range(0, 20_000),
        "sweep": Range(words="sizes with commas between"),
        "syn_retries": Range(1, 127),
        "tries": Range(1, 127),
        "waiting": Range(0, 20_000),
    }
)


def range_of(field: str, kind: str) -> Range:
    """The bounds of a setting of that name. A time is 0 to 600 s, a number an `int` of the kernel's where not said."""
    return _RANGES.get(field) or (_SECONDS if kind == "seconds" else _ANY_INT if kind == "int" else Range())


def said(kind: str, bounds: Range) -> str:
    """In words: `0 to 2`, `a time, 0ms to 10s`, `yes or no`, `none, drop or reset`."""
    if bounds.choices:
        return f"{', '.join(bounds.choices[:-1])} or {bounds.choices[-1]}"
    if kind == "bool":
        return "yes or no"
    if kind == "seconds" and bounds.least is not None and bounds.most is not None:
        return f"a time, {shown(kind, bounds.least)} to {shown(kind, bounds.most)}"
    if bounds.least is not None and bounds.most is not None:
        return f"{bounds.least:,.0f} to {bounds.most:,.0f}"
    return bounds.words


def shown(kind: str, value: Value) -> str:
    """A value as `--set` takes it: `20ms`, `yes`, `128`."""
    if kind == "seconds" and isinstance(value, int | float):
        return f"{value * 1000:g}ms" if value < 1 else f"{value:g}s"
    if kind == "bool":
        return "yes" if value else "no"
    return str(value)


def fault(kind: str, bounds: Range, value: Value) -> str | None:
    """What is wrong with a value: its type, or that it is out of bounds; None where it is right."""
    if not _fits(kind, value):
        return f"it takes {said(kind, bounds)}"
    if bounds.choices and value not in bounds.choices:
        return f"it takes {said(kind, bounds)}"
    if bounds.least is not None and bounds.most is not None and isinstance(value, int | float):
        return None if bounds.least <= value <= bounds.most else f"it takes {said(kind, bounds)}"
    return None


def _fits(kind: str, value: Value) -> bool:
    if kind == "bool":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    wanted = {"int": int, "seconds": int | float, "float": int | float}.get(kind, str)
    return isinstance(value, wanted)
