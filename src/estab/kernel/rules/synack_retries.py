"""The server's SYN-ACK: when it is sent again, when the half-open entry goes, and what TCP_DEFER_ACCEPT makes of it.

Rules 6 and 8 of docs/kernel.md. Times count from the SYN, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from estab.kernel.rules import timer_wheel
from estab.kernel.rules.inputs import at_least, within
from estab.kernel.rules.interval import Interval, exactly
from estab.kernel.rules.kernel_version import KernelVersion

_INITIAL_S = 1  # `include/net/tcp.h TCP_TIMEOUT_INIT`
_RTO_MAX_S = 120  # `include/net/tcp.h TCP_RTO_MAX`
_CAPPED_SINCE = (6, 19)  # from there on tcp_rto_max_ms shortens these waits too (`tcp_reqsk_timeout`)
_PRUNED_RETRIES = 2  # `net/ipv4/inet_connection_sock.c reqsk_timer_handler`: it never goes below
_MOST = 255


@dataclass(frozen=True, kw_only=True, slots=True)
class SynAckTimeline:
    """When the SYN-ACK of an entry is sent again, and when the entry expires. Expiry sends nothing.

    `resends_s`, `expires_s`: nominal. `expires_between_s`: with the timer wheel's rounding.
    """

    resends_s: list[float]
    expires_s: float
    expires_between_s: Interval


def wait_s(number: int, rto_max_ms: int, kernel: KernelVersion) -> float:
    """How long after the SYN-ACK was sent for the `number`th time again (0: first sent) its timer runs, in seconds.

    1, 2, 4 s and so on, at most 120; from 6.19 on at most `net.ipv4.tcp_rto_max_ms`, 1000 to 120,000.
    Source: `net/ipv4/inet_connection_sock.c reqsk_timer_handler`, `include/net/tcp.h tcp_reqsk_timeout`
    (docs/kernel.md rule 6).
    """
    within("rto_max_ms", rto_max_ms, 1000, 120_000)
    cap = rto_max_ms / 1000 if kernel.at_least(*_CAPPED_SINCE) else _RTO_MAX_S
    return float(min(_INITIAL_S << number, cap))


def timeline(
    synack_retries: int = 5, *, hz: int = timer_wheel.HZ, rto_max_ms: int = 120_000, kernel: KernelVersion
) -> SynAckTimeline:
    """The life of a half-open entry whose final ACK never comes or is never let in: 1, 3, 7, 15, 31 s, gone at 63 s.

    `synack_retries`: `net.ipv4.tcp_synack_retries`, 0 to 255; see effective_retries() for a crowded queue.
    `rto_max_ms`: see wait_s().
    Data that comes after expiry meets no entry and gets RST.
    Raises RuleInputError out of range.
    Source: `net/ipv4/inet_connection_sock.c reqsk_timer_handler`, `syn_ack_recalc` (docs/kernel.md rule 6).
    """
    within("synack_retries", synack_retries, 0, _MOST)
    waits = [wait_s(number, rto_max_ms, kernel) for number in range(synack_retries + 1)]
    ends = list(accumulate(waits))
    between = sum((timer_wheel.wait(wait, hz) for wait in waits), start=exactly(0))
    return SynAckTimeline(resends_s=ends[:-1], expires_s=ends[-1], expires_between_s=between)


def effective_retries(synack_retries: int, queued: int, young: int, limit: int) -> int:
    """The retries that an entry gets when its timer runs, with `queued` entries in a SYN queue of limit B.

    Where 2 * queued > max(8, B), old entries are given up sooner: one retry less for each doubling of 2 * `young`
    (entries whose SYN-ACK was not sent again yet) that stays at or below `queued`, down to 2.
    Raises RuleInputError out of range.
    Source: `net/ipv4/inet_connection_sock.c reqsk_timer_handler` (docs/kernel.md rule 6).
    """
    within("synack_retries", synack_retries, 0, _MOST)
    at_least("queued", queued, 0)
    within("young", young, 0, queued)
    if 2 * queued <= max(8, limit):
        return synack_retries
    retries, weight = synack_retries, 2 * young
    while retries > _PRUNED_RETRIES and queued >= weight:
        retries, weight = retries - 1, weight * 2
    return retries


def defer_accept_timeouts(seconds: int) -> int:
    """How many SYN-ACK timeouts TCP_DEFER_ACCEPT of `seconds` lasts, 0 to 255: bare ACKs are dropped until then.

    0 or less: not deferred. Each dropped bare ACK adds TCPDeferAcceptDrop +1 and the listener's sk_drops +1.
    Source: `net/ipv4/tcp.c secs_to_retrans`, `net/ipv4/tcp_minisocks.c tcp_check_req` (docs/kernel.md rule 8).
    """
    if seconds <= 0:
        return 0
    count, wait, period = 1, _INITIAL_S, _INITIAL_S
    while seconds > period and count < _MOST:
        wait = min(wait * 2, _RTO_MAX_S)
        count, period = count + 1, period + wait
    return count
