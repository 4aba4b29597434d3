"""What people type for times and sizes: `50ms`, `1.5s`, `2m`; `1400`, `64k`. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_TIME = re.compile(r"(-?\d+(?:\.\d*)?|-?\.\d+)\s*(us|ms|s|m|h|)")
_SIZE = re.compile(r"(-?\d+)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)


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


def _seconds(_kind: Any, tokens: Sequence[Any]) -> float:
    return seconds(tokens[0].value)


def _size(_kind: Any, tokens: Sequence[Any]) -> int:
    return size(tokens[0].value)


Seconds = Annotated[float, Parameter(converter=_seconds, n_tokens=1)]
Bytes = Annotated[int, Parameter(converter=_size, n_tokens=1)]
