from __future__ import annotations

import socket
import struct

import pytest

from estab.kernel.formats import tcp_info


@pytest.mark.parametrize(
    ("length", "last", "first_absent"),
    [
        (232, "snd_wnd_bytes", "rcv_wnd_bytes"),
        (248, "total_rto_time_ms", "received_ce"),
        (280, "received_ce_bytes", None),
        (400, "received_ce_bytes", None),
        (104, "total_retrans", "pacing_rate_bytes_per_s"),
        (103, "rcv_space_bytes", "total_retrans"),
        (1, "state", "ca_state"),
    ],
)
def test_any_length(length: int, last: str, first_absent: str | None) -> None:
    info = tcp_info.parse(b"\x01" * length)
    assert info.length_bytes == length
    assert getattr(info, last) is not None
    if first_absent:
        assert getattr(info, first_absent) is None


def test_nothing() -> None:
    assert tcp_info.parse(b"") == tcp_info.TcpInfo(length_bytes=0)


def test_offsets_are_the_kernels() -> None:
    data = bytearray(280)
    data[6:8] = bytes([0x97, 0x05])
    for offset, code, value in [(8, "I", 1), (68, "I", 2), (100, "I", 3), (104, "Q", 4), (136, "I", 5), (160, "Q", 6)]:
        struct.pack_into("=" + code, data, offset, value)
    for offset, code, value in [(228, "I", 7), (240, "H", 8), (244, "I", 9), (272, "I", 10)]:
        struct.pack_into("=" + code, data, offset, value)
    info = tcp_info.parse(bytes(data))
    assert (info.snd_wscale, info.rcv_wscale) == (7, 9)
    assert (info.delivery_rate_app_limited, info.fastopen_client_fail) == (True, 2)
    assert (info.rto_us, info.rtt_us, info.total_retrans, info.pacing_rate_bytes_per_s) == (1, 2, 3, 4)
    assert (info.segs_out, info.delivery_rate_bytes_per_s, info.snd_wnd_bytes) == (5, 6, 7)
    assert (info.total_rto, info.total_rto_time_ms, info.received_ce_bytes) == (8, 9, 10)


def test_a_live_connection() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        server.accept()[0] as accepted,
    ):
        client.sendall(b"x" * 1000)
        assert len(accepted.recv(1000, socket.MSG_WAITALL)) == 1000
        info = tcp_info.parse(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1024))
        assert info.bytes_received == 1000
        assert info.state == 1
        assert info.rto_us is not None
        assert info.rto_us >= 200_000
        assert info.snd_mss_bytes is not None
        assert info.snd_mss_bytes > 500
