"""IP addresses: bytes of the kernel and text."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from estab.errors import ParseError

AF_UNSPEC = 0
AF_INET = 2
AF_INET6 = 10

V4_MAPPED = bytes(10) + b"\xff\xff"
NOBODY = (bytes(16), V4_MAPPED + bytes(4))  # the peer of a socket that has none, in 16 bytes


@lru_cache(maxsize=4096)
def format_address(raw: bytes) -> str:
    """4 or 16 bytes as text; an IPv4-mapped address as `::ffff:192.0.2.1`, as `inet_ntop` writes it."""
    if len(raw) == 4:
        return str(IPv4Address(raw))
    if raw.startswith(V4_MAPPED):
        return f"::ffff:{IPv4Address(raw[12:])}"
    return str(IPv6Address(raw))


def mapped(family: int, address: bytes) -> bytes:
    """The address field of a socket as 16 bytes, that of an IPv4 socket as IPv4-mapped."""
    return V4_MAPPED + address[:4] if family == AF_INET else address


def packed_address(address: str) -> bytes:
    """A literal address as 16 bytes, IPv4 as IPv4-mapped. Raises ParseError where it is none."""
    raw = ip_address(canonical(address)).packed
    return V4_MAPPED + raw if len(raw) == 4 else raw


def plain_address(packed: bytes) -> str:
    """16 bytes as text, an IPv4-mapped address as IPv4."""
    return unmapped(format_address(packed))


def unmapped(address: str) -> str:
    """An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) as IPv4, any other as it is."""
    return address.removeprefix("::ffff:") if "." in address else address


def canonical(address: str) -> str:
    """A literal address as `format_address` writes it, an IPv4-mapped one as IPv4, without its scope (`%eth0`).

    Raises ParseError where it is no literal address.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError as error:
        raise ParseError(f"not a literal IP address: {address!r}") from error
    return unmapped(format_address(parsed.packed))
