"""The accept queue: how long it may get, and what a full one does to a SYN and to the final ACK.

Rules 1 to 5, 7 and 8 of docs/kernel.md. B stands for the listener's limit, `sk_max_ack_backlog`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from estab.kernel.rules.inputs import at_least, one_of

_UNSIGNED = 1 << 32

Refusal = Literal["dropped", "reset"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """What one packet that was refused leaves behind. `counters` are increments of /proc/net/netstat, by name.

    `client` and `server` are the socket states afterwards, None where that end has no socket.
    """

    refusal: Refusal
    client: str | None
    server: str | None
    counters: dict[str, int]


def granted(backlog: int, somaxconn: int) -> int:
    """The limit B that listen(`backlog`) gets: min(backlog as unsigned, `net.core.somaxconn`).

    `backlog` is the C int given to listen(); a negative one is huge as unsigned and gets `somaxconn`. (CPython's
    socket.listen() turns a negative one into 0 before the kernel sees it.) Fixed at listen(): a later change of
    somaxconn does nothing until listen() is called again, on the same socket or a new one.

    Raises RuleInputError for a negative `somaxconn`. Source: `net/socket.c __sys_listen_socket` (docs/kernel.md rule
    1).
    """
    at_least("somaxconn", somaxconn, 0)
    return min(backlog % _UNSIGNED, somaxconn)


def fits(limit: int) -> int:
    """How many connections wait in an accept queue of limit B at most: B + 1.

    Raises RuleInputError for a negative limit.
    Source: `include/net/sock.h sk_acceptq_is_full` compares with >, not >= (docs/kernel.md rule 2).
    """
    at_least("limit", limit, 0)
    return limit + 1


def room(limit: int) -> int:
    """How many places a listener's queue has: as `fits`; a negative limit, in a damaged record, is taken for 0.

    Source: `include/net/sock.h sk_acceptq_is_full` (docs/kernel.md rule 2).
    """
    return fits(max(0, limit))


def is_full(depth: int, limit: int) -> bool:
    """Whether a queue `depth` deep (sock_diag's rqueue, `ss -ltn` Recv-Q) takes no more: depth > B.

    Raises RuleInputError for negative values. Source: `include/net/sock.h sk_acceptq_is_full` (docs/kernel.md rule 2).
    """
    at_least("depth", depth, 0)
    at_least("limit", limit, 0)
    return depth > limit


def fill(depth: int, limit: int) -> float:
    """How full a queue is: 1 where it takes no more. A limit below 0, as only a damaged record has, is taken for 0.

    Source: `include/net/sock.h sk_acceptq_is_full` (docs/kernel.md rule 2).
    """
    return depth / room(limit)


def final_ack_refused(tcp_abort_on_overflow: int = 0, *, by_cookie: bool = False) -> Effect:
    """The ACK that ends a handshake, or a data segment after it, on a full accept queue.

    By default it is dropped and the client holds a ghost: ESTABLISHED there, SYN_RECV here, or nothing at all here
    where the SYN was answered `by_cookie`. Each further ACK or segment tries again and counts again: the counters
    count packets, not clients. With `tcp_abort_on_overflow` 1 a half-open entry is reset and forgotten; a cookie's
    ACK is dropped as before.

    Raises RuleInputError unless `tcp_abort_on_overflow` is 0 or 1. Source: `net/ipv4/tcp_minisocks.c tcp_check_req`,
    `net/ipv4/tcp_ipv4.c tcp_v4_syn_recv_sock` (docs/kernel.md rules 4, 7 and 13).
    """
    one_of("tcp_abort_on_overflow", tcp_abort_on_overflow, (0, 1))
    counted = {"ListenOverflows": 1, "ListenDrops": 1}
    if by_cookie:
        return Effect(refusal="dropped", client="ESTABLISHED", server=None, counters=counted | {"SyncookiesRecv": 1})
    if tcp_abort_on_overflow:
        return Effect(refusal="reset", client=None, server=None, counters=counted | {"EmbryonicRsts": 1})
    return Effect(refusal="dropped", client="ESTABLISHED", server="SYN_RECV", counters=counted)


def drops_since(before: int, now: int) -> int | None:
    """How many packets a listener dropped between two readings of its sk_drops (`d` in `ss -m`), 0 to 2^31 - 1.

    The counter is 32 bits wide and wraps. None where it fell further than a wrap explains: it is another socket's.
    Source: `net/core/sock.c sk_get_meminfo`, which hands it out as a u32.
    """
    change = (now - before) % _UNSIGNED
    return change if change < _UNSIGNED // 2 else None


def overflow_in_drops(sk_drops: int, tcp_defer_accept_drops: int | None) -> int | None:
    """What of a listener's `d` in `ss -m` (sk_drops) may be overflow: the rest after TCP_DEFER_ACCEPT's drops.

    `tcp_defer_accept_drops` is TCPDeferAcceptDrop over the same time, None where it was not read: then None, for
    sk_drops alone never means overflow. Source: `net/ipv4/tcp_minisocks.c tcp_check_req` (docs/kernel.md rule 5).
    """
    at_least("sk_drops", sk_drops, 0)
    return None if tcp_defer_accept_drops is None else max(0, sk_drops - tcp_defer_accept_drops)


def delay_of_overflow_s(limit: int, raised_limit: int, arrivals_per_s: float, accepts_per_s: float) -> float | None:
    """By how much a bigger backlog delays the overflow of a server that accepts too slowly: (B' - B) / (in - out) s.

    None where it accepts at least as fast as connections arrive: then the queue does not overflow for long anyway.
    Source: a queue's arithmetic (docs/kernel.md, "This will do nothing").
    """
    at_least("limit", limit, 0)
    at_least("raised_limit", raised_limit, limit)
    surplus = arrivals_per_s - accepts_per_s
    return (raised_limit - limit) / surplus if surplus > 0 else None
