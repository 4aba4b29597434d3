"""SYN cookies: what of a client's data still carries one. Who is served, reset or left a ghost, `burst` says.

Rule 13 of docs/kernel.md.
"""

from __future__ import annotations

from estab.kernel.rules.inputs import at_least, within


def cookie_valid(shift_bytes: int, index: int = 3) -> bool:
    """Whether a segment whose seq lies `shift_bytes` (0 or more) after ISN + 1 still carries a valid cookie.

    `index`: which of the four maximum segment sizes the cookie carries, 0 (536) to 3 (1460 and above; IPv4).

    The client's ISN is subtracted from the cookie and what is left must be an MSS index: a segment shifted by up to
    `index` bytes passes as a cookie with a smaller MSS, any later one fails. So the first segment always passes, and
    the second one only after a first of one to three bytes. (A connection made from a shifted segment starts after
    the bytes before it: the server never reads them.)

    Raises RuleInputError out of range. Source: `net/ipv4/syncookies.c check_tcp_syn_cookie`, `__cookie_v4_check`
    (docs/kernel.md rule 13, refined).
    """
    at_least("shift_bytes", shift_bytes, 0)
    within("index", index, 0, 3)
    return shift_bytes <= index
