"""Captures: SYNs out of pcapng and pcap, whole, cut anywhere, and damaged."""

from __future__ import annotations

import struct

import pytest

from estab.errors import ParseError
from estab.kernel.formats.captures import parse_syns
from estab.lab.wire import pcapng
from estab.lab.wire.packets import orphan_syn, refusal
from estab.lab.wire.spec import Captured

MAC = b"\x02\0\0\0\0\1", b"\x02\0\0\0\0\2"
SYN = orphan_syn(5, *MAC, bytes([10, 0, 0, 2]), 5000)
AT_NS = 1_700_000_000_123_456_789


def wire() -> bytes:
    frames = [(0, SYN), (1, SYN), (1, refusal(SYN, "reset")), (0, b"junk")]
    packets = [
        Captured(end=end, at_ns=AT_NS + i, frame=frame, size=len(frame), comment="")
        for i, (end, frame) in enumerate(frames)
    ]
    return pcapng.encode(packets, ("client", "server"), "a test")


def tcpdump(order: str = "<", link: int = 1, frame: bytes = SYN, magic: int = 0xA1B2C3D4) -> bytes:
    head = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 262144, link)
    return head + struct.pack(f"{order}IIII", 1_700_000_000, 250_000, len(frame), len(frame)) + frame


def test_the_lab_s_own_captures() -> None:
    found = parse_syns(wire())
    assert [one.interface for one in found] == ["client", "server"]
    assert (found[0].source, found[0].target, found[0].target_port) == ("198.18.0.5", "10.0.0.2", 5000)
    assert found[0].at_s == pytest.approx(AT_NS / 1e9, abs=1e-6)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "fraction"), [(0xA1B2C3D4, 0.25), (0xA1B23C4D, 0.00025)])
def test_tcpdump_s_files(order: str, magic: int, fraction: float) -> None:
    (one,) = parse_syns(tcpdump(order, magic=magic))
    assert one.at_s == pytest.approx(1_700_000_000 + fraction, abs=1e-6)


@pytest.mark.parametrize(
    ("link", "before"), [(101, b""), (113, bytes(14) + b"\x08\0"), (276, b"\x08\0" + bytes(18)), (0, bytes(4))]
)
def test_other_links(link: int, before: bytes) -> None:
    assert len(parse_syns(tcpdump(link=link, frame=before + SYN[14:]))) == 1


def test_ipv6_and_a_vlan() -> None:
    tcp = SYN[34:]
    ipv6 = struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + bytes(15) + b"\1" + bytes(15) + b"\2" + tcp
    (one,) = parse_syns(tcpdump(frame=SYN[:12] + b"\x81\0\0\7\x86\xdd" + ipv6))
    assert (one.source, one.target) == ("::1", "::2")


@pytest.mark.parametrize("data", [wire(), tcpdump(), tcpdump(">")], ids=["pcapng", "pcap", "pcap, big-endian"])
def test_cut_anywhere_and_any_byte_changed(data: bytes) -> None:
    whole = len(parse_syns(data))
    for length in range(len(data)):
        try:
            assert len(parse_syns(data[:length])) <= whole
        except ParseError:
            assert length < 48
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0xFF
        try:
            parse_syns(bytes(damaged))
        except ParseError as error:
            assert str(error)


@pytest.mark.parametrize("data", [b"", b"{}", b"\x7fELF" + bytes(60)])
def test_what_is_no_capture(data: bytes) -> None:
    with pytest.raises(ParseError, match="not a capture"):
        parse_syns(data)
