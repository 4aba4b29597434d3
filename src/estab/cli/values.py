"""What people type for numbers, times and sizes: `400`, `10k`, `1e6`; `50ms`, `1.5s`, `2m`; `1400`, `64k`. Pure.

The types here say in --help what is typed (N, TIME, SIZE, FILE), and how a default is written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter

_SECONDS = {"us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_TIME = re.compile(r"(-?[0-9]+(?:\.[0-9]*)?|-?\.[0-9]+)\s*(us|µs|μs|ms|s|m|h|d|)")  # both letters that look like µ
_THOUSANDS = {"": 0, "k": 3, "m": 6, "g": 9}
_WHOLE = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]+))?(?:e\+?([0-9]{1,2}))?([kmg]?)", re.IGNORECASE)
_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?)([kmg]?)|[+-]?(?:nan|inf)", re.IGNORECASE)
_SIZE = re.compile(r"(-?[0-9]+)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
_MOST_DIGITS = 20  # of a whole number: past 64 bits nothing is meant


def seconds(text: str) -> float:
    """`50ms`, `0.5`, `3s`, `2m`, `1h`, `7d` in seconds. Raises ValueError."""
    match = _TIME.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a time; write it as 50ms, 0.5, 3s or 2m")
    value = float(match[1]) * _SECONDS[match[2]]
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{text!r} is out of range; a time is 0 or more")
    return value


def size(text: str) -> int:
    """`1400`, `64k`, `1M` in bytes (k is 1,024). Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a size; write it as 1400, 64k or 1M")
    return int(match[1]) * _BYTES[match[2].lower()]


def whole(text: str) -> int:
    """`400`, `10k` (10,000), `1e6`: neither `1.5`, nor what Python takes for a number besides (`0x10`, `1_000`).

    Raises ValueError.
    """
    match = _WHOLE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a whole number; write it as 400, 10k or 1e6")
    sign, units, fraction, exponent, thousands = match.groups(default="")
    zeros = int(exponent or 0) + _THOUSANDS[thousands.lower()] - len(fraction.rstrip("0"))
    if zeros < 0:
        raise ValueError(f"{text!r} is not a whole number; write it as 400, 10k or 1e6")
    if len(units) + len(fraction) + zeros > _MOST_DIGITS:
        raise ValueError(f"{text!r} is too large a number")
    return int(sign + units + fraction.rstrip("0") + "0" * zeros)


def number(text: str) -> float:
    """`1000`, `0.5`, `10k`, `1e3`. What it may be, and that NaN may not, says whoever takes it. Raises ValueError."""
    match = _NUMBER.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a number; write it as 1000, 0.5 or 10k")
    digits, thousands = match.groups()
    return float(text) if digits is None else float(digits) * 10 ** _THOUSANDS[thousands.lower()]


def _whole(_kind: Any, tokens: Sequence[Any]) -> int:
    return whole(tokens[0].value)


def _number(_kind: Any, tokens: Sequence[Any]) -> float:
    return number(tokens[0].value)


def _seconds(_kind: Any, tokens: Sequence[Any]) -> float:
    return seconds(tokens[0].value)


def _size(_kind: Any, tokens: Sequence[Any]) -> int:
    return size(tokens[0].value)


def _as_time(default_s: float | None) -> str | None:
    """How --help writes a default; None: not at all. Of 0, which turns something off, nothing is said."""
    return f"{default_s:g}s" if default_s else None


Whole = Annotated[int, Parameter(converter=_whole, n_tokens=1, metavar="N")]
Port = Annotated[Whole, Parameter(metavar="PORT")]
Number = Annotated[float, Parameter(converter=_number, n_tokens=1, metavar="N")]
Seconds = Annotated[float, Parameter(converter=_seconds, n_tokens=1, metavar="TIME", show_default=_as_time)]
Bytes = Annotated[int, Parameter(converter=_size, n_tokens=1, metavar="SIZE")]
Moment = Annotated[str, Parameter(metavar="MOMENT")]
Flag = Annotated[bool, Parameter(negative="")]
File = Annotated[str, Parameter(metavar="FILE")]
Directory = Annotated[str, Parameter(metavar="DIR")]
Target = Annotated[str, Parameter(metavar="TARGET")]
Command = Annotated[str, Parameter(metavar="COMMAND")]
Netns = Annotated[str, Parameter(metavar="NETNS")]
