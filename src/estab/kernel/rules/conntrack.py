"""Connection tracking: how many flows a table holds, and what a full one does.

Rule 26 of docs/kernel.md. A flow is one entry, whatever its direction; both ends of a loopback connection share one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from estab.kernel.rules.inputs import at_least
from estab.kernel.rules.kernel_version import KernelVersion

ESTABLISHED_TIMEOUT_S = 432_000  # five days; `net/netfilter/nf_conntrack_proto_tcp.c tcp_timeouts`
TIME_WAIT_TIMEOUT_S = 120

Symptom = Literal["ETIMEDOUT", "EPERM"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FullTable:
    """What a new flow meets where the table is full: `errno` at a local connect(), and who else is hit."""

    errno: Symptom
    silent: bool
    hits_ping: bool
    spares: str
    log: str


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


def full_table() -> FullTable:
    """What clients see where a table is full: nothing, until connect() gives up.

    Source: `net/netfilter/nf_conntrack_core.c nf_conntrack_in` drops the packet (docs/kernel.md rule 26).
    """
    return FullTable(
        errno="ETIMEDOUT",
        silent=True,
        hits_ping=True,
        spares="flows that are in the table already",
        log="nf_conntrack: nf_conntrack: table full, dropping packet",
    )


def short_connections_per_second(maximum: int, hold_s: float = TIME_WAIT_TIMEOUT_S) -> float:
    """The rate of short connections that fills a table of `maximum` flows: each stays `hold_s` after its close.

    `hold_s`: `nf_conntrack_tcp_timeout_time_wait`, above 0. Raises RuleInputError out of range.
    Source: `net/netfilter/nf_conntrack_proto_tcp.c tcp_timeouts` (docs/kernel.md rule 26).
    """
    at_least("maximum", maximum, 0)
    at_least("hold_s", hold_s, 0.001)
    return maximum / hold_s


def maximum_is_writable(kernel: KernelVersion, *, initial_namespace: bool) -> bool | None:
    """Whether `nf_conntrack_max` may be written here: in the initial namespace yes, elsewhere not on 6.18.

    None for kernels before 6.18 outside the initial namespace: it was not tried there.
    Source: `net/netfilter/nf_conntrack_standalone.c`; measured on 6.18 (docs/kernel.md rule 26).
    """
    if initial_namespace:
        return True
    return False if kernel.at_least(6, 18) else None
