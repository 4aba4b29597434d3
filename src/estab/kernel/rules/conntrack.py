"""Connection tracking: how many flows a table holds, and what a full one does.

Rule 26 of docs/kernel.md. A flow is one entry, whatever its direction; both ends of a loopback connection share one.
"""

from __future__ import annotations

from estab.kernel.rules.inputs import at_least

TIME_WAIT_TIMEOUT_S = 120


def headroom(count: int | None, maximum: int | None) -> int | None:
    """How many more flows fit: maximum - count, 0 or more. None where one of them is not known.

    `count`: `nf_conntrack_count` of this namespace, which stays 0 until a rule there uses `ct`. `maximum`: the
    *initial* namespace's `nf_conntrack_max`, against which each namespace's own count is held (read-only in the
    others on 6.18); a maximum of 0 means no limit, and gives None.
    Raises RuleInputError below 0.
    Source: `net/netfilter/nf_conntrack_core.c __nf_conntrack_alloc` (docs/kernel.md rule 26).
    """
    if count is None or maximum is None or maximum == 0:
        return None
    at_least("count", count, 0)
    at_least("maximum", maximum, 0)
    return max(0, maximum - count)


def is_full(count: int, maximum: int) -> bool:
    """Whether the next flow is dropped, unless early_drop() finds a flow that saw no answer yet to sacrifice.

    The table holds `maximum` flows exactly; 0 means no limit.
    Source: `net/netfilter/nf_conntrack_core.c __nf_conntrack_alloc`, `early_drop` (docs/kernel.md rule 26).
    """
    at_least("count", count, 0)
    at_least("maximum", maximum, 0)
    return maximum > 0 and count >= maximum


def fits_ct_count(over: int) -> int:
    """How many flows `nft … ct state new ct count over N drop` lets through: N exactly, then every new flow is lost.

    Raises RuleInputError below 0. Source: `net/netfilter/nft_connlimit.c nft_connlimit_do_eval` (docs/kernel.md rule
    26).
    """
    at_least("over", over, 0)
    return over


def short_connections_per_second(maximum: int, hold_s: float = TIME_WAIT_TIMEOUT_S) -> float:
    """The rate of short connections that fills a table of `maximum` flows: each stays `hold_s` after its close.

    `hold_s`: `nf_conntrack_tcp_timeout_time_wait`, above 0. Raises RuleInputError out of range.
    Source: `net/netfilter/nf_conntrack_proto_tcp.c tcp_timeouts` (docs/kernel.md rule 26).
    """
    at_least("maximum", maximum, 0)
    at_least("hold_s", hold_s, 0.001)
    return maximum / hold_s
