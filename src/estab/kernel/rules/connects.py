"""What TCP's own counters say of the connects of a network namespace.

Around rules 17 and 18 of docs/kernel.md: SYNs that are sent again, and when that ends.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Connects:
    """Of `attempted` connects that had a port and a route so many were refused, timed out, were given up, connected."""

    attempted: int
    refused: int
    timed_out: int
    given_up: int

    @property
    def failed(self) -> int:
        """All that did not connect."""
        return self.refused + self.timed_out + self.given_up

    @property
    def connected(self) -> int:
        """What is left."""
        return max(0, self.attempted - self.failed)


def connects(
    active_opens: int,
    attempt_fails: int,
    *,
    embryonic_resets: int = 0,
    aborts_on_timeout: int = 0,
    unanswered: int = 0,
) -> Connects:
    """What became of them, from what each counter rose by; a rise below 0 counts as 0.

    `unanswered`: the program's sockets in SYN-SENT that were gone after their SYN had been sent again, which takes a
    second: those that the kernel did not time out were closed by the program, and what else timed out was not its own.
    TCPAbortOnTimeout counts established connections as well: of the connects no more timed out than failed.

    Source: `tcp_connect` (net/ipv4/tcp_output.c) counts ActiveOpens once a port and a route were found. `tcp_done`
    (net/ipv4/tcp.c) counts AttemptFails for a socket in SYN-SENT: a RST, an ICMP error, or the last SYN unanswered,
    which `tcp_write_err` (net/ipv4/tcp_timer.c) counts in TCPAbortOnTimeout too. `tcp_check_req`
    (net/ipv4/tcp_minisocks.c) counts AttemptFails for a half-open connection at a server that was reset, with
    EmbryonicRsts. A close() in SYN-SENT (`__tcp_close`) counts nothing.
    """
    attempted, failed = max(0, active_opens), max(0, attempt_fails - max(0, embryonic_resets))
    failed = min(failed, attempted)
    timed_out = min(max(0, aborts_on_timeout), failed)
    own = min(timed_out, max(0, unanswered))
    given_up = min(max(0, unanswered - own), attempted - failed)
    return Connects(attempted - (timed_out - own), failed - timed_out, own, given_up)
