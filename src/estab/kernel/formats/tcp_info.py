"""TCP_INFO: what the kernel tells of one connection, of any length that any kernel gives.

What lives here: `struct tcp_info` (`include/uapi/linux/tcp.h`, filled by `tcp_get_info` in `net/ipv4/tcp.c`).
The struct only ever grows at its end: 232 bytes in 5.5, 248 in 6.7, 280 in 6.18. The last four bytes of the 280 changed
their meaning within a year (two 16-bit fields, then bit fields), so they are left alone.
"""

from __future__ import annotations

from struct import Struct, calcsize

from estab.records import Record

# Every field in the kernel's order, with its struct code. `_scales` and `_flags` are split into bit fields below.
_LAYOUT: tuple[tuple[str, str], ...] = (
    ("state", "B"),
    ("ca_state", "B"),
    ("retransmits", "B"),
    ("probes", "B"),
    ("backoff", "B"),
    ("options", "B"),
    ("_scales", "B"),
    ("_flags", "B"),
    ("rto_us", "I"),
    ("ato_us", "I"),
    ("snd_mss_bytes", "I"),
    ("rcv_mss_bytes", "I"),
    ("unacked", "I"),
    ("sacked", "I"),
    ("lost", "I"),
    ("retrans", "I"),
    ("fackets", "I"),
    ("last_data_sent_ms", "I"),
    ("last_ack_sent_ms", "I"),
    ("last_data_recv_ms", "I"),
    ("last_ack_recv_ms", "I"),
    ("pmtu_bytes", "I"),
    ("rcv_ssthresh_bytes", "I"),
    ("rtt_us", "I"),
    ("rttvar_us", "I"),
    ("snd_ssthresh", "I"),
    ("snd_cwnd", "I"),
    ("advmss_bytes", "I"),
    ("reordering", "I"),
    ("rcv_rtt_us", "I"),
    ("rcv_space_bytes", "I"),
    ("total_retrans", "I"),
    ("pacing_rate_bytes_per_s", "Q"),
    ("max_pacing_rate_bytes_per_s", "Q"),
    ("bytes_acked", "Q"),
    ("bytes_received", "Q"),
    ("segs_out", "I"),
    ("segs_in", "I"),
    ("notsent_bytes", "I"),
    ("min_rtt_us", "I"),
    ("data_segs_in", "I"),
    ("data_segs_out", "I"),
    ("delivery_rate_bytes_per_s", "Q"),
    ("busy_time_us", "Q"),
    ("rwnd_limited_us", "Q"),
    ("sndbuf_limited_us", "Q"),
    ("delivered", "I"),
    ("delivered_ce", "I"),
    ("bytes_sent", "Q"),
    ("bytes_retrans", "Q"),
    ("dsack_dups", "I"),
    ("reord_seen", "I"),
    ("rcv_ooopack", "I"),
    ("snd_wnd_bytes", "I"),
    ("rcv_wnd_bytes", "I"),
    ("rehash", "I"),
    ("total_rto", "H"),
    ("total_rto_recoveries", "H"),
    ("total_rto_time_ms", "I"),
    ("received_ce", "I"),
    ("delivered_e1_bytes", "I"),
    ("delivered_e0_bytes", "I"),
    ("delivered_ce_bytes", "I"),
    ("received_e1_bytes", "I"),
    ("received_e0_bytes", "I"),
    ("received_ce_bytes", "I"),
)
_WHOLE = Struct("=" + "".join(code for _, code in _LAYOUT))


def _ends() -> tuple[tuple[str, int], ...]:
    """Each field's name with the length at which a struct holds it whole."""
    fields, end = [], 0
    for name, code in _LAYOUT:
        end += calcsize("=" + code)
        fields.append((name, end))
    return tuple(fields)


_ENDS = _ends()


class TcpInfo(Record, frozen=True, kw_only=True):
    """One connection as the kernel sees it; None: absent in this kernel's struct. Names are its own, without `tcpi_`.

    `options` has bits: 1 timestamps, 2 SACK, 4 window scale, 8 ECN, 32 SYN data acked. `rtt_us` is 0 where none was
    measured, `min_rtt_us` is 2^32-1 then. `snd_cwnd` and `snd_ssthresh` are in segments.
    """

    length_bytes: int
    state: int | None = None
    ca_state: int | None = None
    retransmits: int | None = None
    probes: int | None = None
    backoff: int | None = None
    options: int | None = None
    snd_wscale: int | None = None
    rcv_wscale: int | None = None
    delivery_rate_app_limited: bool | None = None
    fastopen_client_fail: int | None = None
    rto_us: int | None = None
    ato_us: int | None = None
    snd_mss_bytes: int | None = None
    rcv_mss_bytes: int | None = None
    unacked: int | None = None
    sacked: int | None = None
    lost: int | None = None
    retrans: int | None = None
    fackets: int | None = None
    last_data_sent_ms: int | None = None
    last_ack_sent_ms: int | None = None
    last_data_recv_ms: int | None = None
    last_ack_recv_ms: int | None = None
    pmtu_bytes: int | None = None
    rcv_ssthresh_bytes: int | None = None
    rtt_us: int | None = None
    rttvar_us: int | None = None
    snd_ssthresh: int | None = None
    snd_cwnd: int | None = None
    advmss_bytes: int | None = None
    reordering: int | None = None
    rcv_rtt_us: int | None = None
    rcv_space_bytes: int | None = None
    total_retrans: int | None = None
    pacing_rate_bytes_per_s: int | None = None
    max_pacing_rate_bytes_per_s: int | None = None
    bytes_acked: int | None = None
    bytes_received: int | None = None
    segs_out: int | None = None
    segs_in: int | None = None
    notsent_bytes: int | None = None
    min_rtt_us: int | None = None
    data_segs_in: int | None = None
    data_segs_out: int | None = None
    delivery_rate_bytes_per_s: int | None = None
    busy_time_us: int | None = None
    rwnd_limited_us: int | None = None
    sndbuf_limited_us: int | None = None
    delivered: int | None = None
    delivered_ce: int | None = None
    bytes_sent: int | None = None
    bytes_retrans: int | None = None
    dsack_dups: int | None = None
    reord_seen: int | None = None
    rcv_ooopack: int | None = None
    snd_wnd_bytes: int | None = None
    rcv_wnd_bytes: int | None = None
    rehash: int | None = None
    total_rto: int | None = None
    total_rto_recoveries: int | None = None
    total_rto_time_ms: int | None = None
    received_ce: int | None = None
    delivered_e1_bytes: int | None = None
    delivered_e0_bytes: int | None = None
    delivered_ce_bytes: int | None = None
    received_e1_bytes: int | None = None
    received_e0_bytes: int | None = None
    received_ce_bytes: int | None = None


def parse(data: bytes | memoryview) -> TcpInfo:
    """TCP_INFO of any length, none at all included: what does not stand in it whole is None. Never raises."""
    length = len(data)
    values = _WHOLE.unpack(bytes(data[: _WHOLE.size]).ljust(_WHOLE.size, b"\0"))
    known = {name: value for (name, end), value in zip(_ENDS, values, strict=True) if end <= length}
    # Bit fields fill a byte from its low end on little-endian machines, which are those that estab is tested on.
    if (scales := known.pop("_scales", None)) is not None:
        known |= {"snd_wscale": scales & 0xF, "rcv_wscale": scales >> 4}
    if (flags := known.pop("_flags", None)) is not None:
        known |= {"delivery_rate_app_limited": bool(flags & 1), "fastopen_client_fail": flags >> 1 & 3}
    return TcpInfo(length_bytes=length, **known)
