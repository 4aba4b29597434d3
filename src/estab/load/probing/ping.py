"""An ICMP echo to an address, where this host lets us: by a ping socket, else by a raw one.

A ping socket needs no privilege, only a group of ours within net.ipv4.ping_group_range (`ping_init_sock`,
net/ipv4/ping.c); a raw one needs CAP_NET_RAW.
"""

from __future__ import annotations

import os
import socket
import struct
import time

from estab.kernel.formats.checksum import checksum
from estab.load.addresses import socket_address
from estab.load.plan import Address

_PERMITS = "net.ipv4.ping_group_range permits no group of ours, and a raw socket needs CAP_NET_RAW"
_ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}  # request and reply: RFC 792, RFC 4443 section 4
_PROTOCOL = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
_HEADER = struct.Struct("!BBHHH")


class PingRefused(RuntimeError):
    """This host lets us send none. The message says why."""


def ping(target: Address, within_s: float) -> float | None:
    """After how many milliseconds the address answered; None: not in time. Raises PingRefused."""
    family, address = socket_address((target[0], 0, target[2]))
    sock, is_raw = _socket(family)
    with sock:
        number = os.getpid() & 0xFFFF
        request, reply = _ECHO[family]
        began_s = time.monotonic()
        try:
            sock.connect(address)
            sock.send(_packet(request, number, checksummed=is_raw and family == socket.AF_INET))
            while (left_s := began_s + within_s - time.monotonic()) > 0:
                sock.settimeout(left_s)
                answer = sock.recv(2048)
                message = answer[_ip_header(answer) if is_raw and family == socket.AF_INET else 0 :]
                if _is_reply(message, reply, number if is_raw else None):
                    return round((time.monotonic() - began_s) * 1000, 3)
        except OSError:  # nothing in time, or somebody says that it can't be reached
            return None
    return None


def _socket(family: socket.AddressFamily) -> tuple[socket.socket, bool]:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            return socket.socket(family, kind, _PROTOCOL[family]), kind == socket.SOCK_RAW
        except OSError:
            continue
    raise PingRefused(_PERMITS)


def _packet(kind: int, number: int, *, checksummed: bool) -> bytes:
    """The kernel writes a ping socket's own identifier, and each checksum but a raw one's of IPv4."""
    data = _HEADER.pack(kind, 0, 0, number, 1) + b"estab probe"
    if not checksummed:
        return data
    return _HEADER.pack(kind, 0, checksum(data), number, 1) + data[_HEADER.size :]


def _ip_header(packet: bytes) -> int:
    return (packet[0] & 15) * 4 if packet else 0


def _is_reply(message: bytes, kind: int, number: int | None) -> bool:
    """Whether it answers ours: a raw socket hears all that the address sends to this host, a ping socket its own."""
    if len(message) < _HEADER.size:
        return False
    said, _code, _checksum, identifier, _sequence = _HEADER.unpack_from(message)
    return bool(said == kind and number in (None, identifier))
