"""Numbers with what they count, in the form that one takes and that many take. Pure, and for every layer."""

from __future__ import annotations


def plural(number: int, thing: str, things: str = "") -> str:
    """`1 connect`, `271 connects`; `things` says what an s does not: `2 processes`, `2 connects were`."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def places(used: int, room: int) -> str:
    """How much of an accept queue is used: `16 of 17 places`. `room` is how many connections fit, B+1."""
    return f"{used:,} of {plural(room, 'place')}"
