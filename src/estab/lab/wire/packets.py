"""Ethernet frames with IPv4 in them: read as far as the wire must, and made by hand. Pure.

Hand-made packets exist only on the wire, between namespaces that the lab made.
"""

from __future__ import annotations

import struct

from estab.kernel.formats.checksum import checksum

IPV4, ICMP, TCP, UDP = 0x0800, 1, 6, 17
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
_NEVER_ANSWERS = 198 << 24 | 18 << 16  # 198.18.0.0/15, for benchmarks (RFC 2544)
_CODES = {"unreachable": 3, "prohibited": 13}  # ICMP type 3: port unreachable; administratively prohibited

FlowKey = tuple[int, bytes, bytes]


def is_ipv4(frame: bytes) -> bool:
    """Whether an IPv4 packet without IP options is in it: all that Linux sends here."""
    return frame[12:15] == b"\x08\x00\x45" and len(frame) >= 42


def ip_length(frame: bytes) -> int:
    """The length in bytes that the header of an IPv4 frame says."""
    return int.from_bytes(frame[16:18], "big")


def tcp_flags(frame: bytes) -> int:
    """The TCP flags of an IPv4 frame, 0 where it is no TCP."""
    return frame[47] if len(frame) >= 54 and frame[23] == TCP else 0


def has_data(frame: bytes) -> bool:
    """Whether a TCP frame carries more than headers."""
    if len(frame) < 54 or frame[23] != TCP:
        return False
    return ip_length(frame) > 20 + (frame[46] >> 4) * 4


def with_wrong_checksum(frame: bytes) -> bytes:
    """A TCP frame whose checksum its receiver finds wrong; another one as it is."""
    if len(frame) < 54 or frame[23] != TCP:
        return frame
    return frame[:50] + bytes([frame[50] ^ 0x55, frame[51]]) + frame[52:]


def far_ahead(frame: bytes) -> bytes:
    """A TCP frame with its sequence number 2^30 further, beyond every window, and the checksum for it (RFC 1624)."""
    word, check = int.from_bytes(frame[38:40], "big"), int.from_bytes(frame[50:52], "big")
    moved = (word + 0x4000) & 0xFFFF
    total = (~check & 0xFFFF) + (~word & 0xFFFF) + moved
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    head = frame[:38] + struct.pack("!H", moved) + frame[40:50]
    return head + struct.pack("!H", ~total & 0xFFFF) + frame[52:]


def ports(frame: bytes) -> tuple[int, int]:
    """Source and target port of a TCP or UDP frame."""
    return int.from_bytes(frame[34:36], "big"), int.from_bytes(frame[36:38], "big")


def flow(frame: bytes) -> FlowKey:
    """What a flow table knows a flow by, the same both ways: protocol and both ends, for ICMP the echo's id."""
    protocol = frame[23]
    if protocol == ICMP:
        one, other = frame[26:30] + frame[38:40], frame[30:34] + frame[38:40]
    else:
        one, other = frame[26:30] + frame[34:36], frame[30:34] + frame[36:38]
    return (protocol, one, other) if one < other else (protocol, other, one)


def never_answers(frame: bytes) -> bool:
    """Whether a frame is for one of the addresses that hand-made SYNs come from."""
    return frame[30:32] in (b"\xc6\x12", b"\xc6\x13")


def _ip(source: bytes, target: bytes, protocol: int, payload: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, source, target)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def _tcp(ends: tuple[bytes, bytes], numbers: tuple[int, int, int, int], flags: int, options: bytes = b"") -> bytes:
    """A TCP segment without data, as an IPv4 packet. `numbers`: source port, target port, seq, ack."""
    length = 20 + len(options)
    head = struct.pack("!HHIIBBHHH", *numbers, (length // 4) << 4, flags, 65535, 0, 0) + options
    pseudo = ends[0] + ends[1] + struct.pack("!BBH", 0, TCP, length)
    return _ip(*ends, TCP, head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:])


def orphan_syn(number: int, target_mac: bytes, source_mac: bytes, target: bytes, port: int) -> bytes:
    """The SYN with that number (0 to 131,071), each from an address of its own that never answers."""
    source = struct.pack("!I", _NEVER_ANSWERS + number)
    mss = struct.pack("!BBH", 2, 4, 1460)
    packet = _tcp((source, target), (1024 + number % 60000, port, number * 64007 % 2**32, 0), SYN, mss)
    return target_mac + source_mac + struct.pack("!H", IPV4) + packet


def refusal(frame: bytes, how: str) -> bytes:
    """What a filter answers to a packet: `reset` a RST, `unreachable` and `prohibited` an ICMP error.

    To what acknowledges something the RST bears that number, to a SYN it acknowledges that (RFC 9293, 3.10.7.1).
    """
    source, target = frame[26:30], frame[30:34]
    if how == "reset":
        from_port, to_port = ports(frame)
        seq, ack = int.from_bytes(frame[38:42], "big"), int.from_bytes(frame[42:46], "big")
        if tcp_flags(frame) & ACK:
            packet = _tcp((target, source), (to_port, from_port, ack, 0), RST)
        else:
            packet = _tcp((target, source), (to_port, from_port, 0, (seq + 1) % 2**32), RST | ACK)
    else:
        body = struct.pack("!BBHI", 3, _CODES[how], 0, 0) + frame[14:42]
        packet = _ip(target, source, ICMP, body[:2] + struct.pack("!H", checksum(body)) + body[4:])
    return frame[6:12] + frame[:6] + struct.pack("!H", IPV4) + packet
