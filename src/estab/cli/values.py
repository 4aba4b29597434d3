"""What people type for numbers, times and sizes: `400`; `50ms`, `1.5s`, `2m`; `1400`, `64k`. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter

_SECONDS = {"us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_TIME = re.compile(r"(-?[0-9]+(?:\.[0-9]*)?|-?\.[0-9]+)\s*(us|µs|μs|ms|s|m|h|)")  # both letters that look like µ
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|[+-]?(?:nan|inf)", re.IGNORECASE)
_SIZE = re.compile(r"(-?[0-9]+)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
_MOST_DIGITS = 20  # of a whole number: past 64 bits nothing is meant


def seconds(text: str) -> float:
    """`50ms`, `0.5`, `3s`, `2m`, `1h` in seconds. Raises ValueError."""
    match = _TIME.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a time; write it as 50ms, 0.5, 3s or 2m")
    value = float(match[1]) * _SECONDS[match[2]]
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{text!r} can't be; a time is 0 or more")
    return value


def size(text: str) -> int:
    """`1400`, `64k`, `1M` in bytes (k is 1,024). Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a size; write it as 1400, 64k or 1M")
    return int(match[1]) * _BYTES[match[2].lower()]


def whole(text: str) -> int:
    """`400` as it stands: neither `1.5`, nor what Python takes for a number besides (`0x10`, `1_000`). ValueError."""
    word = text.strip()
    if not _WHOLE.fullmatch(word):
        raise ValueError(f"{text!r} is not a whole number; write it as 400")
    if len(word) > _MOST_DIGITS:
        raise ValueError(f"{text!r} is too large a number")
    return int(word)


def number(text: str) -> float:
    """`1000`, `0.5`, `1e3`. What it may be, and that NaN may not, says whoever takes it. Raises ValueError."""
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is not a number; write it as 1000 or 0.5")
    return float(text)


def _whole(_kind: Any, tokens: Sequence[Any]) -> int:
    return whole(tokens[0].value)


def _number(_kind: Any, tokens: Sequence[Any]) -> float:
    return number(tokens[0].value)


def _seconds(_kind: Any, tokens: Sequence[Any]) -> float:
    return seconds(tokens[0].value)


def _size(_kind: Any, tokens: Sequence[Any]) -> int:
    return size(tokens[0].value)


Whole = Annotated[int, Parameter(converter=_whole, n_tokens=1)]
Number = Annotated[float, Parameter(converter=_number, n_tokens=1)]
Seconds = Annotated[float, Parameter(converter=_seconds, n_tokens=1)]
Bytes = Annotated[int, Parameter(converter=_size, n_tokens=1)]
