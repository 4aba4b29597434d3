"""SYN cookies in front of a full accept queue: who is served, who is reset at once, who holds a ghost.

Rules 13 to 16 of docs/kernel.md. Here stands the arithmetic for a burst on an empty queue whose server accepts nothing
meanwhile; `burst` follows the same rules through time.
"""

from __future__ import annotations

from dataclasses import dataclass

from estab.kernel.rules import accept_queue, syn_queue
from estab.kernel.rules.inputs import at_least, within
from estab.kernel.rules.kernel_version import KernelVersion

# `include/net/tcp.h TCP_SYNCOOKIE_PERIOD`, `MAX_SYNCOOKIE_AGE`: a cookie is good for two periods of 60 s.


@dataclass(frozen=True, kw_only=True, slots=True)
class Fates:
    """How a burst ends. All are counts of clients, or None where the kernel's patch level is hidden and matters.

    `connected`: ESTABLISHED at the client. `half_open`: had a SYN_RECV at the server. `cookies`: were answered with a
    cookie. `not_connected`: the SYN was dropped, the client tries again after 1 s. `in_queue`: wait for accept().
    `ghosts`: connected, unknown to the server. `reset`: of the ghosts, those that get ECONNRESET at once.
    `served_later`: what the server serves once it accepts again, when no client gives up: all but the reset ones.
    """

    connected: int
    half_open: int
    cookies: int
    not_connected: int
    in_queue: int
    ghosts: int
    reset: int
    served_later: int


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


def is_reset(segment_bytes: tuple[int, ...], index: int = 3) -> bool:
    """Whether a cookie ghost that sends data segments of these sizes, while the queue stays full, is reset.

    One segment alone never is: it is sent again and again, with the same seq. An empty tuple sends nothing.
    Raises RuleInputError for a segment below 1 byte. Source: as `cookie_valid` (docs/kernel.md rule 13).
    """
    shift = 0
    for size in segment_bytes:
        if not cookie_valid(shift, index):
            return True
        at_least("segment_bytes", size, 1)
        shift += size
    return False


def fates(
    connects: int,
    limit: int,
    tcp_syncookies: int,
    tcp_max_syn_backlog: int,
    kernel: KernelVersion,
    *,
    segment_bytes: tuple[int, ...] = (),
) -> Fates | None:
    """How `connects` clients fare whose SYNs all arrive within one round-trip time, on empty queues of limit B.

    The server accepts nothing meanwhile; each client sends `segment_bytes` as soon as it is connected. Exact, before
    any SYN is sent again (1 s). None where `syn_queue.fits()` is None.
    Raises RuleInputError out of range. Source: rules 2, 9 to 12, and `net/ipv4/tcp_input.c tcp_conn_request`
    (docs/kernel.md rules 13, 15 and 16).
    """
    flood = syn_queue.flood(connects, limit, tcp_max_syn_backlog, tcp_syncookies, kernel)
    if flood is None:
        return None
    connected = flood.half_open + flood.cookies
    # SYN-ACKs leave in the order of the SYNs, and so the half-open ones' ACKs come first.
    in_queue = min(connected, accept_queue.fits(limit))
    ghosts = connected - in_queue
    cookie_ghosts = min(ghosts, flood.cookies)
    reset = cookie_ghosts if is_reset(segment_bytes) else 0
    return Fates(
        connected=connected,
        half_open=flood.half_open,
        cookies=flood.cookies,
        not_connected=flood.dropped,
        in_queue=in_queue,
        ghosts=ghosts,
        reset=reset,
        served_later=connects - reset,
    )
