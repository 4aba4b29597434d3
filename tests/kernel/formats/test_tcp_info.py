"""TCP_INFO as Linux 6.18 fills it: a real connection's, cut at every length, and noise."""

from __future__ import annotations

import contextlib
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.errors import ParseError
from estab.kernel.formats import tcp_info

# ss -tnoi of a connection whose peer was cut off: unacked:1 retrans:1/4 backoff:3 lastsnd:412 lastrcv:2880 lastack:2880
WORDS = {8: 1_632_000, 16: 1448, 24: 1, 44: 412, 52: 2880, 56: 2879, 60: 1500, 100: 4}


def _bytes() -> bytes:
    data = bytearray(280)
    data[0], data[2], data[4] = 1, 3, 3
    for at, value in WORDS.items():
        struct.pack_into("=I", data, at, value)
    struct.pack_into("=QQ", data, 120, 6401, 6400)
    return bytes(data)


def test_its_fields() -> None:
    info = tcp_info.parse(_bytes())
    assert (info.state, info.retransmits, info.backoff, info.unacked, info.total_retrans) == (1, 3, 3, 1, 4)
    assert (info.rto_us, info.snd_mss, info.pmtu) == (1_632_000, 1448, 1500)
    assert (info.last_data_sent_ms, info.last_data_recv_ms, info.last_ack_recv_ms) == (412, 2880, 2879)
    assert (info.bytes_acked, info.bytes_received) == (6401, 6400)


def test_for_how_long_it_has_been_outstanding() -> None:
    data = bytearray(_bytes())
    assert tcp_info.parse(data).outstanding_ms == 412 + 204 * (1 + 2 + 4)
    struct.pack_into("=I", data, 100, 0)  # it never left this host again: its link is down
    assert tcp_info.parse(data).outstanding_ms == 412
    struct.pack_into("=I", data, 24, 0)
    assert tcp_info.parse(data).outstanding_ms == 0


def test_within_other_bytes() -> None:
    assert tcp_info.parse(b"junk" + _bytes() + b"junk", 4, 284) == tcp_info.parse(_bytes())


@pytest.mark.parametrize("size", range(0, 280, 7))
def test_cut_short(size: int) -> None:
    if size < 104:
        with pytest.raises(ParseError):
            tcp_info.parse(_bytes()[:size])
    else:
        info = tcp_info.parse(_bytes()[:size])
        assert (info.bytes_acked is None) == (size < tcp_info.SIZE)


def test_of_a_real_connection() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server, socket.socket() as client:
        client.connect(server.getsockname())
        info = tcp_info.parse(client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, tcp_info.SIZE))
    assert (info.state, info.unacked, info.bytes_received) == (1, 0, 0)
    assert info.snd_mss > 500
    assert info.has_timestamps == (Path("/proc/sys/net/ipv4/tcp_timestamps").read_text().strip() != "0")


@given(st.binary(max_size=300))
def test_noise_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ParseError):
        tcp_info.parse(data)
