"""Numbers with what they count, in the form that one takes and that many take. Pure, and for every layer."""

from __future__ import annotations


def plural(number: float, thing: str, things: str = "") -> str:
    """`1 connect`, `271 connects`; `things` says what an s does not: `2 processes`, `2 connects were`.

    What is no whole number is rounded: `31 connects` for 31.4.
    """
    shown = f"{number:,}" if isinstance(number, int) else f"{number:,.0f}"
    return f"{shown} {thing if shown == '1' else things or thing + 's'}"


def places(used: int, room: int) -> str:
    """How much of an accept queue is used: `16 of 17 places`. `room` is how many connections fit, B+1."""
    return f"{used:,} of {plural(room, 'place')}"


def every(number: int, thing: str) -> str:
    """`all 271 connects`; of one `the only connect`."""
    return f"the only {thing}" if number == 1 else f"all {plural(number, thing)}"
