"""Memory: what a connection costs, and the two global limits, orphans and tcp_mem. Judged, never reproduced.

Rule 27 of docs/kernel.md.
"""

from __future__ import annotations

from typing import Literal

from estab.kernel.rules.inputs import at_least

# Both ends on one host, idle, nothing in the buffers. In the kernel each end has a TCP socket (2,368 bytes), its inode
# (832), a dentry (192), a file (192), and what security modules add: /proc/slabinfo of 6.18 with 50,000 pairs.
# MemAvailable falls by less, 5.3 to 6.5 kB: it takes those inodes and dentries for memory that could be had back.
BYTES_PER_IDLE_PAIR = 7300
# The same with each end in an epoll set, as a real client and server have it.
BYTES_PER_POLLED_PAIR = 7700

Pressure = Literal["none", "pressure", "over_limit"]


def connections(available_bytes: int | None, bytes_per_connection: float = BYTES_PER_IDLE_PAIR / 2) -> int | None:
    """How many more idle connections fit `available_bytes` of memory (MemAvailable); None where it is not known.

    An estimate: about 7.3 kB of kernel memory for a pair whose ends are both here, half of it for one end. What the
    application keeps for each and what waits in the buffers comes on top.
    Raises RuleInputError below 0 or below 1 byte each. Source: measured (docs/kernel.md rule 27).
    """
    at_least("bytes_per_connection", bytes_per_connection, 1)
    if available_bytes is None:
        return None
    at_least("available_bytes", available_bytes, 0)
    return int(available_bytes / bytes_per_connection)


def tcp_mem_pressure(used_pages: int | None, tcp_mem: tuple[int, int, int] | None) -> Pressure | None:
    """Where all TCP buffers of the machine stand against `net.ipv4.tcp_mem` (min, pressure, max, in pages).

    `used_pages`: `mem` of the TCP row of /proc/net/sockstat. None where one is not known. Over the maximum, sockets
    that cannot shrink are reset. Raises RuleInputError below 0.
    Source: `net/core/sock.c __sk_mem_raise_allocated`, `net/ipv4/tcp.c tcp_out_of_memory` (docs/kernel.md rule 27).
    """
    if used_pages is None or tcp_mem is None:
        return None
    at_least("used_pages", used_pages, 0)
    if used_pages > tcp_mem[2]:
        return "over_limit"
    return "pressure" if used_pages > tcp_mem[1] else "none"


def sockets_of_data(left_pages: int | None, bytes_each: int | None, page_bytes: int = 4096) -> int | None:
    """How many sockets' buffers of so many bytes each fit into pages of tcp_mem; None where one is not known.

    Raises RuleInputError below 0 pages, or below 1 byte. Source: `net/core/sock.c sk_mem_pages` (docs/kernel.md rule
    27).
    """
    if left_pages is None or bytes_each is None:
        return None
    at_least("left_pages", left_pages, 0)
    at_least("bytes_each", bytes_each, 1)
    return left_pages // -(-bytes_each // page_bytes)


def too_many_orphans(orphans: int | None, most: int | None) -> bool | None:
    """Whether the machine has more orphans than `net.ipv4.tcp_max_orphans`. None where one is not known.

    With more, each socket that its program closes is reset. Raises RuleInputError below 0.
    Source: `net/ipv4/tcp.c tcp_too_many_orphans, tcp_check_oom` (docs/kernel.md rule 27).
    """
    if orphans is None or most is None:
        return None
    at_least("orphans", orphans, 0)
    at_least("most", most, 0)
    return orphans > most
