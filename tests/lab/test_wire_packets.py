"""Frames as the wire changes them: a checksum that is wrong, and a segment from outside of every window."""

from __future__ import annotations

import pytest

from estab.kernel.formats.checksum import checksum
from estab.lab.wire import packets

MAC = b"\x02\0\0\0\0\1", b"\x02\0\0\0\0\2"


def segment(seq: int, data: bytes = b"answer") -> bytes:
    """A TCP frame of the server's with a right checksum."""
    head = packets.orphan_syn(3, *MAC, bytes([10, 77, 0, 1]), 5000)[:34]
    ports = (5000).to_bytes(2, "big") + (40_000).to_bytes(2, "big")
    tcp = ports + seq.to_bytes(4, "big") + bytes(4) + b"\x50\x18\xff\xff" + bytes(4) + data
    pseudo = head[26:34] + bytes([0, packets.TCP]) + len(tcp).to_bytes(2, "big")
    tcp = tcp[:16] + checksum(pseudo + tcp).to_bytes(2, "big") + tcp[18:]
    return head[:16] + (20 + len(tcp)).to_bytes(2, "big") + head[18:] + tcp


def is_right(frame: bytes) -> bool:
    tcp = frame[34:]
    return checksum(frame[26:34] + bytes([0, packets.TCP]) + len(tcp).to_bytes(2, "big") + tcp) == 0


@pytest.mark.parametrize("seq", [0, 1, 0x3FFF_FFFF, 0xBFFF_FFFF, 0xC000_0000, 0xFFFF_0000, 0xFFFF_FFFF])
def test_a_segment_far_ahead_is_right_but_for_its_place(seq: int) -> None:
    frame = segment(seq)
    moved = packets.far_ahead(frame)
    assert is_right(frame)
    assert is_right(moved)
    assert int.from_bytes(moved[38:42], "big") == (seq + (1 << 30)) % (1 << 32)
    assert (moved[:38], moved[42:50], moved[52:]) == (frame[:38], frame[42:50], frame[52:])


def test_a_wrong_checksum_is_all_that_is_wrong() -> None:
    frame = segment(77)
    spoiled = packets.with_wrong_checksum(frame)
    assert not is_right(spoiled)
    assert (spoiled[:50], spoiled[52:]) == (frame[:50], frame[52:])
    other = frame[:23] + bytes([packets.ICMP]) + frame[24:]
    assert packets.with_wrong_checksum(other) == other


def test_data_is_what_stands_behind_the_headers() -> None:
    assert packets.has_data(segment(1))
    assert not packets.has_data(segment(1, b""))
    assert not packets.has_data(packets.orphan_syn(3, *MAC, bytes([10, 77, 0, 1]), 5000))
    assert not packets.has_data(segment(1)[:40])
