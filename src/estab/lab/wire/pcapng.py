"""Writes captures as pcapng: one section, an interface for each end of the wire, a comment where a packet matters.

Source: the pcapng specification (draft-ietf-opsawg-pcapng): sections 4.1 to 4.3 and option 1 of 3.5. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from estab.lab.wire.spec import Captured

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_END, _COMMENT, _NAME, _RESOLUTION = 0, 1, 2, 9
_ETHERNET = 1
SNAP = 256  # bytes kept of each packet: all headers, and some data


def encode(packets: Iterable[Captured], names: tuple[str, ...], comment: str = "") -> bytes:
    """A whole pcapng file. `names`: of the interfaces, by `Captured.end`. Times have nanoseconds."""
    parts = [_section(comment), *(_interface(name) for name in names)]
    parts += [_packet(packet) for packet in sorted(packets, key=lambda packet: packet.at_ns)]
    return b"".join(parts)


def _block(kind: int, body: bytes) -> bytes:
    size = 12 + len(body)
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _options(*given: tuple[int, bytes]) -> bytes:
    kept = [(code, value) for code, value in given if value]
    if not kept:
        return b""
    return b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in [*kept, (_END, b"")])


def _section(comment: str) -> bytes:
    body = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _options((_COMMENT, comment.encode()[:60000]))
    return _block(_SECTION, body)


def _interface(name: str) -> bytes:
    body = struct.pack("<HHI", _ETHERNET, 0, SNAP) + _options((_NAME, name.encode()), (_RESOLUTION, b"\x09"))
    return _block(_INTERFACE, body)


def _packet(one: Captured) -> bytes:
    kept = one.frame[:SNAP]
    head = struct.pack("<IIIII", one.end, one.at_ns >> 32, one.at_ns & 0xFFFFFFFF, len(kept), one.size)
    return _block(_PACKET, head + _padded(kept) + _options((_COMMENT, one.comment.encode()[:60000])))
