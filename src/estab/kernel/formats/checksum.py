"""The Internet checksum, of IP, ICMP and TCP alike (RFC 1071)."""

from __future__ import annotations

import struct


def checksum(data: bytes) -> int:
    """Of `data`, which reads as if a zero byte followed where its length is odd; 0 to 65,535."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
