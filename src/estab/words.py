"""Numbers with what they count, in the form that one takes and that many take; names that were meant.

Pure, and for every layer.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime


def plural(number: float, thing: str, things: str = "") -> str:
    """`1 connect`, `271 connects`; `things` says what an s does not: `2 processes`, `2 connects were`.

    What is no whole number is rounded: `31 connects` for 31.4.
    """
    shown = f"{number:,}" if isinstance(number, int) else f"{number:,.0f}"
    return f"{shown} {thing if shown == '1' else things or thing + 's'}"


def sentence(text: str) -> str:
    """`text` with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def places(used: int, room: int) -> str:
    """How much of an accept queue is used: `16 of 17 places`. `room` is how many connections fit, B+1."""
    return f"{used:,} of {plural(room, 'place')}"


def every(number: int, thing: str) -> str:
    """`all 271 connects`; of one `the only connect`."""
    return f"the only {thing}" if number == 1 else f"all {plural(number, thing)}"


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean 'cookie_reset'?` where one of `names` is like `name`, else nothing: the end of an error."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(names), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def clock(unix_s: float, *, day: bool = False) -> str:
    """A moment as `02:13:04`, with `day` as `2026-11-26 02:13:04`, in UTC; what is no moment, as a number."""
    try:
        return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S" if day else "%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{unix_s:g}"
