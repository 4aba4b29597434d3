"""Captures: pcapng, and pcap as tcpdump writes it -> the SYNs in them.

Sources: draft-ietf-opsawg-pcapng (sections, interfaces and enhanced packets), draft-ietf-opsawg-pcap; Ethernet, Linux
cooked (SLL, SLL2), raw IP and BSD loopback frames; IPv4 and IPv6 without extension headers. Everything else is
stepped over: it is no SYN that this can tell of.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import ip_address

from estab.errors import ParseError
from estab.records import Record

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_MAGIC = 0x1A2B3C4D
_PCAP = {0xA1B2C3D4: 1_000_000, 0xA1B23C4D: 1_000_000_000}
_RESOLUTION, _IF_NAME = 9, 2
_SHORTEST, _LONGEST = 12, 1 << 26
# Link type -> (offset of the EtherType or None, offset of the IP header).
_LINKS: dict[int, tuple[int | None, int]] = {
    1: (12, 14),  # Ethernet
    12: (None, 0),  # raw IP, on some systems
    101: (None, 0),  # raw IP
    113: (14, 16),  # Linux cooked
    276: (0, 20),  # Linux cooked v2
    0: (None, 4),  # BSD loopback
    228: (None, 0),  # raw IPv4
    229: (None, 0),  # raw IPv6
}
_TCP, _SYN, _ACK = 6, 0x02, 0x10


class Syn(Record, frozen=True, kw_only=True):
    """One SYN without ACK. `at_s` is Unix time, `interface` the capture's name or number of where it was seen."""

    at_s: float
    source: str
    source_port: int
    target: str
    target_port: int
    sequence: int
    interface: str = "0"


def parse_syns(data: bytes) -> list[Syn]:
    """Every SYN without ACK of a whole capture, in its order.

    A file that breaks off within its last packet gives what was whole, as a capture that was killed leaves it.
    Raises ParseError where it is no capture, or damaged before its end.
    """
    if len(data) < 24:
        raise ParseError(f"not a capture: {len(data)} bytes, and its header alone has 24", 0)
    if struct.unpack_from("<I", data)[0] == _SECTION:
        return [syn for packet in _blocks(data) if (syn := _syn(*packet)) is not None]
    for order in "<>":
        units = _PCAP.get(struct.unpack_from(f"{order}I", data)[0])
        if units is not None:
            return [syn for packet in _records(data, order, units) if (syn := _syn(*packet)) is not None]
    raise ParseError(f"not a capture: it starts with {data[:4].hex()}, neither pcapng nor pcap", 0)


_Packet = tuple[float, str, int, bytes]  # when, interface, link type, the frame


def _records(data: bytes, order: str, units: int) -> Iterator[_Packet]:
    """The packets of a pcap file."""
    link = struct.unpack_from(f"{order}I", data, 20)[0] & 0xFFFF
    at = 24
    while at + 16 <= len(data):
        seconds, fraction, kept, _size = struct.unpack_from(f"{order}IIII", data, at)
        if kept > _LONGEST:
            raise ParseError(f"a packet of {kept:,} bytes", at)
        if at + 16 + kept > len(data):
            return
        yield seconds + fraction / units, "0", link, data[at + 16 : at + 16 + kept]
        at += 16 + kept


def _blocks(data: bytes) -> Iterator[_Packet]:
    """The packets of a pcapng file. Byte order and interfaces are each section's own."""
    order, at = "<", 0
    interfaces: list[tuple[int, float, str]] = []
    while at + _SHORTEST <= len(data):
        if data[at : at + 4] == b"\n\r\r\n":
            order, interfaces = _order(data, at), []
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if size < _SHORTEST or size % 4 or size > _LONGEST:
            raise ParseError(f"a block of {size:,} bytes", at)
        if at + size > len(data):
            return
        body = data[at + 8 : at + size - 4]
        if kind == _INTERFACE:
            interfaces.append(_interface(body, order, at, len(interfaces)))
        elif kind == _PACKET:
            yield _packet(body, order, at, interfaces)
        at += size


def _order(data: bytes, at: int) -> str:
    for order in "<>":
        if at + 12 <= len(data) and struct.unpack_from(f"{order}I", data, at + 8)[0] == _MAGIC:
            return order
    raise ParseError("a section without its byte-order magic", at)


def _interface(body: bytes, order: str, at: int, number: int) -> tuple[int, float, str]:
    """Link type, seconds in one unit of time, name."""
    if len(body) < 8:
        raise ParseError("an interface without its fields", at)
    unit, name = 1e-6, str(number)
    place = 8
    while place + 4 <= len(body):
        code, size = struct.unpack_from(f"{order}HH", body, place)
        value = body[place + 4 : place + 4 + size]
        if code == 0:
            break
        if code == _RESOLUTION and value:
            exponent = value[0] & 0x7F
            unit = 2.0**-exponent if value[0] & 0x80 else 10.0**-exponent
        elif code == _IF_NAME:
            name = value.decode("utf-8", "replace")
        place += 4 + size + -size % 4
    return struct.unpack_from(f"{order}H", body)[0], unit, name


def _packet(body: bytes, order: str, at: int, interfaces: list[tuple[int, float, str]]) -> _Packet:
    if len(body) < 20:
        raise ParseError("a packet without its fields", at)
    number, high, low, kept, _size = struct.unpack_from(f"{order}IIIII", body)
    if number >= len(interfaces):
        raise ParseError(f"a packet of interface {number}, which was not described", at)
    if kept > len(body) - 20:
        raise ParseError(f"a packet of {kept:,} bytes in a block of {len(body):,}", at)
    link, unit, name = interfaces[number]
    return ((high << 32) | low) * unit, name, link, body[20 : 20 + kept]


def _syn(at_s: float, interface: str, link: int, frame: bytes) -> Syn | None:
    ip = _ip(link, frame)
    if ip is None:
        return None
    source, target, tcp = ip
    if len(tcp) < 14 or tcp[13] & (_SYN | _ACK) != _SYN:
        return None
    from_port, to_port, sequence = struct.unpack_from("!HHI", tcp)
    return Syn(
        at_s=at_s,
        source=str(ip_address(source)),
        source_port=from_port,
        target=str(ip_address(target)),
        target_port=to_port,
        sequence=sequence,
        interface=interface,
    )


def _ip(link: int, frame: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Source, target and the TCP segment; None for what holds none."""
    place, start = _LINKS.get(link, (None, -1))
    if start < 0:
        return None
    if place is not None and frame[place : place + 2] == b"\x81\x00":  # one VLAN tag
        start += 4
    ip = frame[start:]
    if len(ip) >= 20 and ip[0] >> 4 == 4:
        later_fragment = ((ip[6] & 0x1F) << 8) | ip[7]
        return (ip[12:16], ip[16:20], ip[(ip[0] & 15) * 4 :]) if ip[9] == _TCP and not later_fragment else None
    if len(ip) >= 40 and ip[0] >> 4 == 6 and ip[6] == _TCP:
        return ip[8:24], ip[24:40], ip[40:]
    return None
