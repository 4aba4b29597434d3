"""Connections that got no answer in time, or whose data nobody acknowledges, as their own kernel saw them."""

from __future__ import annotations

from estab.records.base import Record

_MOST_BACKOFF = 255  # it is one byte
_SLACK_S = 0.1  # between a request and its being sent, on a busy machine


class Stall(Record, frozen=True, kw_only=True):
    """One of them when it was given up, or looked at (TCP_INFO; `tcp_get_info` in net/ipv4/tcp.c).

    Times are seconds since the run's start. `at_s`: when that was; `asked_s`: since when it had waited; `heard_s`,
    `received_s`: when an ACK and when data last came. `unacked`: segments that were sent and not acknowledged;
    `retransmits`: time-outs of theirs in a row, with `backoff` doublings of the wait, which is `rto_us`;
    `total_retrans`: of all segments, ever. `bytes_acked` has the SYN as one byte. `pmtu`, `snd_mss`: bytes of the
    biggest packet, and of the data in one.
    """

    connection: str
    at_s: float
    asked_s: float
    heard_s: float
    received_s: float
    unacked: int
    retransmits: int
    backoff: int
    total_retrans: int
    rto_us: int
    bytes_acked: int
    bytes_received: int
    snd_mss: int
    pmtu: int

    def had_waited(self, until_s: float) -> bool:
        """Whether by then it had waited for longer than its first time-out, which no acknowledgement outlasts."""
        first_s = self.rto_us / 1e6 / (1 << min(max(self.backoff, 0), _MOST_BACKOFF))
        return until_s - self.asked_s > first_s + _SLACK_S


class Stalls(Record, frozen=True, kw_only=True):
    """All of them. `unacknowledged` of `count` had sent data that the other end's kernel did not acknowledge.

    `heard_s`: when an ACK last came on any of them, in seconds since the run's start. `sample`: the first 8 of each
    process, and the last 8.
    """

    count: int
    unacknowledged: int
    heard_s: float
    sample: list[Stall] = []


class PeerLook(Record, frozen=True, kw_only=True):
    """How the ESTABLISHED connections from here to one address and port fared at one look (sock_diag, TCP_INFO).

    `resending` of `connections` sent the same data again for the second time in a row, or more. `heard_s`: when an
    acknowledgement last came on any of them; None: not told. `sample`: the first 8 of those that resend. Times are
    seconds since the run's start; in a snapshot since that, and so negative.
    """

    address: str
    port: int
    at_s: float = 0.0
    connections: int
    resending: int
    heard_s: float | None = None
    sample: list[Stall] = []
