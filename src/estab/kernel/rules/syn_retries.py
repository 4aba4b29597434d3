"""The client's SYN: when it is sent again, when connect() gives up, and what a connect's latency tells.

Rules 17 to 19 of docs/kernel.md. Times count from the first SYN, in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from estab.kernel.rules import timer_wheel
from estab.kernel.rules.inputs import at_least, within
from estab.kernel.rules.interval import Interval, exactly
from estab.kernel.rules.kernel_version import KernelVersion

INITIAL_RTO_S = 1.0  # `include/net/tcp.h TCP_TIMEOUT_INIT`
LINEAR_TIMEOUTS = 4  # `net/ipv4/tcp_ipv4.c tcp_sk_init`, 6.5 and later
MAX_SYNCNT = 127  # `include/linux/tcp.h MAX_TCP_SYNCNT`


@dataclass(frozen=True, kw_only=True, slots=True)
class SynTimeline:
    """When a SYN that nobody answers is sent again, and when connect() returns ETIMEDOUT.

    `retransmits_s`: the nominal time of each retransmission, ascending. `gives_up_s`: the nominal time of ETIMEDOUT.
    `retransmits_between_s` and `gives_up_between_s`: the same with the timer wheel's rounding.
    """

    retransmits_s: list[float]
    gives_up_s: float
    retransmits_between_s: list[Interval]
    gives_up_between_s: Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class LatencyBand:
    """A connect answered as soon as it could be that took `between_s` needed `retransmits` SYN retransmissions."""

    retransmits: int
    between_s: Interval


def default_linear_timeouts(kernel: KernelVersion) -> int:
    """`net.ipv4.tcp_syn_linear_timeouts` of a new namespace: 4 since 6.5; 0, and no such sysctl, before.

    Source: `net/ipv4/tcp_ipv4.c tcp_sk_init` (docs/kernel.md rule 17).
    """
    return LINEAR_TIMEOUTS if kernel.at_least(6, 5) else 0


def waits_s(count: int, linear_timeouts: int = 0, rto_max_ms: int = 120_000) -> list[float]:
    """The first `count` waits between a SYN and the next: 1 s, after `linear_timeouts` of them doubling up to the cap.

    Source: `net/ipv4/tcp_timer.c tcp_retransmit_timer`: the wait doubles once total_rto exceeds the linear ones; the
    cap is `net.ipv4.tcp_rto_max_ms` (6.15 and later), before that 120 s (docs/kernel.md rules 17 and 19).
    """
    return list(_waits(count, linear_timeouts, rto_max_ms))


def _waits(count: int, linear_timeouts: int, rto_max_ms: int) -> Iterator[float]:
    within("linear_timeouts", linear_timeouts, 0, MAX_SYNCNT)
    within("rto_max_ms", rto_max_ms, 1000, 120_000)
    cap, current = rto_max_ms / 1000, INITIAL_RTO_S
    for fired in range(1, count + 1):
        yield current
        if fired > linear_timeouts:
            current = min(current * 2, cap)


def resent_after_s(number: int, linear_timeouts: int = 0, rto_max_ms: int = 120_000) -> float:
    """When the `number`th retransmission of a SYN leaves (0: the first SYN), in seconds: 1, 3, 7 or 1, 2, 3.

    Source: as `waits_s` (docs/kernel.md rules 17 and 19).
    """
    return sum(waits_s(number, linear_timeouts, rto_max_ms))


def model_timeout_s(syn_retries: int, rto_max_ms: int = 120_000) -> float:
    """The elapsed time after which a SYN's timer gives up whatever the count: 2^(n+1) - 1 s, later linear in n.

    From the n on at which a wait reaches the cap, each further retry adds one cap. Raises RuleInputError out of range.
    Source: `net/ipv4/tcp_timer.c tcp_model_timeout` (docs/kernel.md rule 17).
    """
    within("syn_retries", syn_retries, 1, MAX_SYNCNT)
    within("rto_max_ms", rto_max_ms, 1000, 120_000)
    cap = rto_max_ms / 1000
    threshold = int(cap / INITIAL_RTO_S).bit_length() - 1  # ilog2
    if syn_retries <= threshold:
        return ((2 << syn_retries) - 1) * INITIAL_RTO_S
    return ((2 << threshold) - 1) * INITIAL_RTO_S + (syn_retries - threshold) * cap


def timeline(
    syn_retries: int = 6,
    linear_timeouts: int = 0,
    rto_max_ms: int = 120_000,
    user_timeout_ms: int = 0,
    *,
    hz: int = timer_wheel.HZ,
    kernel: KernelVersion | None = None,
) -> SynTimeline:
    """What happens to a connect() whose SYNs are all lost or dropped.

    `syn_retries`: `net.ipv4.tcp_syn_retries` or TCP_SYNCNT, 1 to 127. `linear_timeouts`: see
    default_linear_timeouts(). `user_timeout_ms`: TCP_USER_TIMEOUT, 0 when not set. `kernel` None: 4.8 or later.

    The timer gives up when it has retransmitted n + linear times already, or when the model's time (with
    TCP_USER_TIMEOUT: that time instead) has passed, but never before the first retransmission. So a
    TCP_USER_TIMEOUT below 1 s acts as about 1 s, and one above the model's time makes connect() last *longer*.
    Raises RuleInputError out of range.
    Source: `net/ipv4/tcp_timer.c tcp_write_timeout`, `retransmits_timed_out`, `tcp_clamp_rto_to_user_timeout`
    (docs/kernel.md rules 17 and 18).
    """
    within("syn_retries", syn_retries, 1, MAX_SYNCNT)
    at_least("user_timeout_ms", user_timeout_ms, 0)
    limit_s = user_timeout_ms / 1000 if user_timeout_ms else model_timeout_s(syn_retries, rto_max_ms)
    fired: list[float] = []
    spans: list[Interval] = []
    now, span = 0.0, exactly(0)
    for number, backoff in enumerate(waits_s(syn_retries + linear_timeouts + 1, linear_timeouts, rto_max_ms)):
        # The wait after a retransmission is cut to what TCP_USER_TIMEOUT leaves; the first wait is not. Once that
        # time has passed the timer is set one jiffy ahead, which is nothing here.
        wait = max(0.0, min(backoff, limit_s - now)) if user_timeout_ms and number else backoff
        now, span = now + wait, span + timer_wheel.wait(wait, hz, kernel)
        if number and (number >= syn_retries + linear_timeouts or now >= limit_s):
            break
        fired.append(now)
        spans.append(span)
    return SynTimeline(retransmits_s=fired, gives_up_s=now, retransmits_between_s=spans, gives_up_between_s=span)


def sees_retransmission(connect_timeout_s: float) -> bool:
    """Whether a client that itself gives up after `connect_timeout_s` ever sends a second SYN: only above 1 s.

    Source: TCP_TIMEOUT_INIT (docs/kernel.md rule 18; RFC 6298 section 2).
    """
    at_least("connect_timeout_s", connect_timeout_s, 0)
    return connect_timeout_s > INITIAL_RTO_S


def bands(
    count: int = 4,
    linear_timeouts: int = 0,
    rto_max_ms: int = 120_000,
    *,
    rtt_s: float = 0.0,
    hz: int = timer_wheel.HZ,
    kernel: KernelVersion | None = None,
) -> list[LatencyBand]:
    """Which connect latencies mean how many SYN retransmissions, for 0 to `count` of them.

    An answer to the k-th retransmission comes `rtt_s` (0 or more) after it. Without linear timeouts the bands lie
    just above 0, 1, 3, 7 s, with them just above 0, 1, 2, 3 s.
    Raises RuleInputError out of range. Source: as `waits_s` (docs/kernel.md rule 19).
    """
    at_least("count", count, 0)
    at_least("rtt_s", rtt_s, 0)
    waits = (timer_wheel.wait(wait, hz, kernel) for wait in waits_s(count, linear_timeouts, rto_max_ms))
    answered = accumulate(waits, initial=exactly(rtt_s))
    return [LatencyBand(retransmits=number, between_s=span) for number, span in enumerate(answered)]


def retransmits_behind(
    latency_s: float, linear_timeouts: int = 0, rto_max_ms: int = 120_000, *, rtt_s: float = 0.0
) -> int:
    """How many SYN retransmissions a connect that took `latency_s` needed: as many as had left by then.

    Exact where the round-trip time is below 1 s. Raises RuleInputError for a negative time.
    Source: as `waits_s` (docs/kernel.md rule 19).
    """
    at_least("latency_s", latency_s, 0)
    needed = 0
    for start in accumulate(_waits(MAX_SYNCNT, linear_timeouts, rto_max_ms)):  # most need none: no more is reckoned
        if latency_s - rtt_s < start:
            break
        needed += 1
    return needed
