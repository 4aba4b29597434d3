"""The accept queue of a listening UNIX socket: how long it may get, and what a full one does to connect().

Rule 31 of docs/kernel.md. B stands for the listener's limit, `sk_max_ack_backlog`, which listen() grants as for TCP
(rule 1, `accept_queue.granted`); there is no handshake, so that connect() itself finds the queue full.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from estab.kernel.rules.inputs import at_least


@dataclass(frozen=True, kw_only=True, slots=True)
class FullQueue:
    """What connect() does at a full queue: it waits `waits_s` for a place (inf: as long as it takes), then `errno`."""

    waits_s: float
    errno: str


def fits(limit: int) -> int:
    """How many connections wait in the queue of a UNIX listener of limit B at most: B + 1.

    One whose client has closed it again stays in its place until it is accepted. Raises RuleInputError for a negative
    limit. Source: `net/unix/af_unix.c unix_recvq_full` compares with >, not >= (docs/kernel.md rule 31).
    """
    at_least("limit", limit, 0)
    return limit + 1


def connect_to_full(*, blocking: bool, send_timeout_s: float = 0) -> FullQueue:
    """What connect() to a full queue gets: EAGAIN at once where the socket does not block, else it waits.

    `send_timeout_s` is SO_SNDTIMEO, which bounds that wait; 0: it has none. No counter tells of either. Raises
    RuleInputError for a negative time. Source: `net/unix/af_unix.c unix_stream_connect`, `unix_wait_for_peer`
    (docs/kernel.md rule 31).
    """
    at_least("send_timeout_s", send_timeout_s, 0)
    if not blocking:
        return FullQueue(waits_s=0, errno="EAGAIN")
    return FullQueue(waits_s=send_timeout_s or math.inf, errno="EAGAIN")
