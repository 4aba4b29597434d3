"""TCP_INFO: what the kernel knows of one connection, from getsockopt() or from sock_diag's INET_DIAG_INFO.

What lives here: `struct tcp_info` (`include/uapi/linux/tcp.h`), as `tcp_get_info` in `net/ipv4/tcp.c` fills it. It grew
at its end: a kernel that fills less knows less. No record: an engine reads it, which starts without packages of others.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from estab.errors import ParseError

_FIRST = Struct("=BBBxBBxxIxxxxI4xI16xIxxxxIII36xI")
_BYTES_AT = 120
_BYTES = Struct("=QQ")
SIZE = _BYTES_AT + _BYTES.size  # as much as is read here
_TIMESTAMPS = 1  # TCPI_OPT_TIMESTAMPS of tcpi_options


@dataclass(frozen=True, kw_only=True, slots=True)
class TcpInfo:
    """One connection. `retransmits`: time-outs in a row; `unacked`: segments that were sent and not acknowledged.

    `last_*_ms`: so long ago data was sent (also again), data came, an ACK came. `bytes_acked` counts the SYN as one.
    None: before Linux 4.1.
    """

    state: int
    retransmits: int
    backoff: int
    has_timestamps: bool
    rto_us: int
    snd_mss: int
    unacked: int
    last_data_sent_ms: int
    last_data_recv_ms: int
    last_ack_recv_ms: int
    pmtu: int
    total_retrans: int
    bytes_acked: int | None = None
    bytes_received: int | None = None

    @property
    def outstanding_ms(self) -> float:
        """For how long what is unacknowledged has been, about: the waits before each time that it was sent again.

        They double (`tcp_retransmit_timer`, net/ipv4/tcp_timer.c), and `rto_us` is the one that runs now. What waits in
        this host, as for a neighbour's answer, is not sent again (`skb_still_in_host_queue`, net/ipv4/tcp_output.c).
        """
        if not self.unacked:
            return 0.0
        first_ms = self.rto_us / 1000 / (1 << self.backoff)
        times_sent_again = min(self.retransmits, self.total_retrans)
        return self.last_data_sent_ms + first_ms * ((1 << times_sent_again) - 1)


def parse(data: bytes | memoryview, start: int = 0, end: int | None = None) -> TcpInfo:
    """The structure between `start` and `end`. Raises ParseError where it ends before `tcpi_total_retrans`."""
    end = len(data) if end is None else end
    if end - start < _FIRST.size:
        raise ParseError(f"tcp_info needs {_FIRST.size} bytes, {end - start} are left", start)
    first = _FIRST.unpack_from(data, start)
    state, _ca, retransmits, backoff, options, rto, mss, unacked, sent, received, acked, pmtu, again = first
    totals: tuple[int | None, int | None] = (None, None)
    if end - start >= SIZE:
        totals = _BYTES.unpack_from(data, start + _BYTES_AT)
    return TcpInfo(
        state=state,
        retransmits=retransmits,
        backoff=backoff,
        has_timestamps=bool(options & _TIMESTAMPS),
        rto_us=rto,
        snd_mss=mss,
        unacked=unacked,
        last_data_sent_ms=sent,
        last_data_recv_ms=received,
        last_ack_recv_ms=acked,
        pmtu=pmtu,
        total_retrans=again,
        bytes_acked=totals[0],
        bytes_received=totals[1],
    )
