"""The SYN queue: how many half-open connections (SYN_RECV) a listener holds, and which limit bound it.

Rules 9 to 12 of docs/kernel.md. B is the listener's limit, M is `net.ipv4.tcp_max_syn_backlog`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from estab.kernel.rules.inputs import at_least, one_of
from estab.kernel.rules.kernel_version import KernelVersion

# "tcp/dccp: allow a connection when sk_max_ack_backlog is zero" turned >= into > in inet_csk_reqsk_queue_is_full.
# 5.15.177 was read in the sources; the others are the stable releases of the same weeks (January and February 2025).
_STRICTLY_GREATER_SINCE = (6, 13)
_STRICTLY_GREATER_STABLE = {(5, 4): 290, (5, 10): 234, (5, 15): 177, (6, 1): 125, (6, 6): 72, (6, 12): 10}

SynBound = Literal["backlog", "tcp_max_syn_backlog", "cookies_always", "none"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SynFlood:
    """What N unanswered SYNs leave at a listener that has an empty accept queue.

    `half_open`: SYN_RECV. `cookies`: SYNs answered with a cookie, no state kept. `dropped`: not answered.
    `bound`: which limit stopped the queue, "none" where all fitted. `counters`: increments of /proc/net/netstat.
    """

    half_open: int
    cookies: int
    dropped: int
    bound: SynBound
    counters: dict[str, int]


def fits_backlog(limit: int, kernel: KernelVersion) -> int | None:
    """How many half-open connections the limit B lets in: B + 1, and B on older kernels.

    None where `kernel` is a distribution's that hides its patch level (either may be true).
    Raises RuleInputError for a negative limit.
    Source: `include/net/inet_connection_sock.h inet_csk_reqsk_queue_is_full` (docs/kernel.md rule 9).
    """
    at_least("limit", limit, 0)
    fixed = kernel.has_fix(_STRICTLY_GREATER_SINCE, _STRICTLY_GREATER_STABLE)
    return None if fixed is None else limit + int(fixed)


def fits_max_syn_backlog(tcp_max_syn_backlog: int) -> int:
    """How many half-open connections M lets in with cookies off: M - (M >> 2) + 1, three quarters and one.

    A SYN is dropped when M - qlen < M >> 2. A peer with a stored round-trip time ("proven", `ip tcp_metrics`) is
    never asked, so that clients seen before get in above this bound, up to the one of the backlog.
    Raises RuleInputError below 0. Source: `net/ipv4/tcp_input.c tcp_conn_request` (docs/kernel.md rule 10).
    """
    at_least("tcp_max_syn_backlog", tcp_max_syn_backlog, 0)
    return tcp_max_syn_backlog - (tcp_max_syn_backlog >> 2) + 1


def fits(
    limit: int, tcp_max_syn_backlog: int, tcp_syncookies: int, kernel: KernelVersion, *, proven_peers: bool = False
) -> int | None:
    """How many SYN_RECV a listener of limit B holds at most, by `net.ipv4.tcp_syncookies`.

    0: the smaller of both bounds. 1: the bound of the backlog, M is never asked. 2: none.
    None where the kernel's patch level is hidden and matters. Raises RuleInputError for values out of range.
    Source: `net/ipv4/tcp_input.c tcp_conn_request` (docs/kernel.md rules 9 to 12).
    """
    one_of("tcp_syncookies", tcp_syncookies, (0, 1, 2))
    by_backlog = fits_backlog(limit, kernel)
    if tcp_syncookies == 2:
        return 0
    if tcp_syncookies == 1 or proven_peers:
        return by_backlog
    by_m = fits_max_syn_backlog(tcp_max_syn_backlog)
    if by_backlog is None:
        return by_m if by_m <= limit else None
    return min(by_backlog, by_m)


def flood(
    syns: int, limit: int, tcp_max_syn_backlog: int, tcp_syncookies: int, kernel: KernelVersion
) -> SynFlood | None:
    """What `syns` SYNs from addresses that never answer leave, before any SYN-ACK is sent again (within 1 s).

    None where `fits()` is None. Counters: at the backlog's limit TCPReqQFullDrop and ListenDrops, or
    TCPReqQFullDoCookies and SyncookiesSent; at M's limit ListenDrops alone.
    Raises RuleInputError for values out of range.
    Source: `net/ipv4/tcp_input.c tcp_conn_request`, `tcp_syn_flood_action` (docs/kernel.md rules 9 to 12 and the
    table).
    """
    at_least("syns", syns, 0)
    room = fits(limit, tcp_max_syn_backlog, tcp_syncookies, kernel)
    if room is None:
        return None
    half_open = min(syns, room)
    rest = syns - half_open
    if tcp_syncookies:
        counted = {"TCPReqQFullDoCookies": rest, "SyncookiesSent": rest}
        bound: SynBound = "cookies_always" if tcp_syncookies == 2 else "backlog"
    elif room == fits_backlog(limit, kernel):
        counted, bound = {"TCPReqQFullDrop": rest, "ListenDrops": rest}, "backlog"
    else:
        counted, bound = {"ListenDrops": rest}, "tcp_max_syn_backlog"
    return SynFlood(
        half_open=half_open,
        cookies=rest if tcp_syncookies else 0,
        dropped=0 if tcp_syncookies else rest,
        bound=bound if rest else "none",
        counters={name: value for name, value in counted.items() if value},
    )
