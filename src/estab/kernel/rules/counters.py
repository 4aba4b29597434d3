"""What the kernel's counters say together that none says alone.

Rules 28 and 29 of docs/kernel.md. All are deltas within one run and one network namespace; they count packets, not
clients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from estab.kernel.rules.inputs import at_least

Sighting = Literal["TCP_LISTEN_OVERFLOW", "NO_SOCKET", "TCP_FLAGS"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DropSplit:
    """ListenDrops taken apart, in packets. None where a counter that it needs was not read.

    `accept_queue`: the accept queue was full. `syn_queue`: the SYN queue was full by the backlog, cookies off.
    `unexplained`: the rest: tcp_max_syn_backlog (rule 10), or no memory or route for the answer.
    """

    accept_queue: int | None
    syn_queue: int | None
    unexplained: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class CookieUse:
    """SYN cookies in packets. `sent`; `returned`: came back valid; `failed`: segments answered by RST.

    `unreturned`: sent and not yet back, 0 or more: clients that vanished, or a flood. `ghost_resets`: segments of
    connections that the server did not keep (rule 13); needs the RSTs to come from the listener.
    """

    sent: int | None
    returned: int | None
    failed: int | None
    unreturned: int | None
    ghost_resets: bool | None


def split_drops(deltas: Mapping[str, int]) -> DropSplit:
    """Which limit dropped the SYNs and ACKs: ListenDrops - ListenOverflows - TCPReqQFullDrop is what neither explains.

    `deltas`: TcpExt counters by name; one that is missing was not read. A negative rest (counters that were not read
    at one moment) gives 0. Raises RuleInputError for a negative delta.
    Source: `net/ipv4/tcp_input.c tcp_conn_request`, `tcp_listendrop` (docs/kernel.md rule 29).
    """
    overflows, full = _read(deltas, "ListenOverflows"), _read(deltas, "TCPReqQFullDrop")
    drops = _read(deltas, "ListenDrops")
    rest = None if overflows is None or full is None or drops is None else max(0, drops - overflows - full)
    return DropSplit(accept_queue=overflows, syn_queue=full, unexplained=rest)


def cookie_use(deltas: Mapping[str, int], resets_from_listen: int | None = None) -> CookieUse:
    """What became of the cookies that were sent.

    `resets_from_listen`: RSTs sent by a listener (drop reason TCP_FLAGS in LISTEN), None where not observed: then
    SyncookiesFailed alone is not taken as ghosts, and `ghost_resets` is None unless it is 0.
    Raises RuleInputError for a negative delta. Source: `net/ipv4/syncookies.c cookie_v4_check` (docs/kernel.md rule
    29).
    """
    sent, returned, failed = (_read(deltas, f"Syncookies{what}") for what in ("Sent", "Recv", "Failed"))
    ghosts: bool | None = None
    if failed == 0:
        ghosts = False
    elif failed is not None and resets_from_listen is not None:
        ghosts = resets_from_listen > 0
    return CookieUse(
        sent=sent,
        returned=returned,
        failed=failed,
        unreturned=None if sent is None or returned is None else max(0, sent - returned),
        ghost_resets=ghosts,
    )


def limits_hit(deltas: Mapping[str, int]) -> dict[str, bool | None]:
    """Which limits these counters show as met; None where the counter was not read.

    Keys: accept_queue, syn_queue, tcp_max_syn_backlog, tcp_max_tw_buckets, memory. `tcp_max_syn_backlog` is True for
    any drop that rule 29 leaves unexplained: it points there, or to memory.
    Source: docs/kernel.md rules 3, 9, 10, 24, 27 and 29.
    """
    split = split_drops(deltas)
    found = {
        "accept_queue": split.accept_queue,
        "syn_queue": split.syn_queue,
        "tcp_max_syn_backlog": split.unexplained,
        "tcp_max_tw_buckets": _read(deltas, "TCPTimeWaitOverflow"),
        "memory": _read(deltas, "TCPAbortOnMemory"),
    }
    return {limit: None if count is None else count > 0 for limit, count in found.items()}


def drop_reason(packet: Literal["syn", "final_ack", "cookie_ack", "second_cookie_segment"]) -> Sighting | None:
    """The kfree_skb or tcp_send_reset reason by which a packet tracer sees this packet refused; None: no event at all.

    A SYN on a full accept queue or SYN queue leaves no event: only counters and the listener's depth show it.
    Source: `net/ipv4/tcp_ipv4.c`, measured on 6.18; numbers change between kernels, names do not (docs/kernel.md rule
    28).
    """
    seen: dict[str, Sighting | None] = {
        "syn": None,
        "final_ack": "TCP_LISTEN_OVERFLOW",
        "cookie_ack": "NO_SOCKET",
        "second_cookie_segment": "TCP_FLAGS",
    }
    return seen[packet]


def _read(deltas: Mapping[str, int], name: str) -> int | None:
    value = deltas.get(name)
    if value is not None:
        at_least(f"the delta of {name}", value, 0)
    return value
