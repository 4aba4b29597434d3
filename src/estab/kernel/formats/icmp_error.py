"""An ICMP error that a socket met, as its error queue has it: what it says, and who said it.

What lives here: `struct sock_extended_err` (`include/uapi/linux/errqueue.h`) and the address after it, as
`ip_icmp_error` in `net/ipv4/ip_sockglue.c` and `ipv6_icmp_error` in `net/ipv6/datagram.c` fill them. TCP's have one
since Linux 5.8, while they connect (`tcp_v4_err`, net/ipv4/tcp_ipv4.c).
"""

from __future__ import annotations

from struct import Struct

from estab.errors import ParseError
from estab.kernel.formats.inet_diag.addresses import AF_INET, AF_INET6, format_address
from estab.records.base import Record

_ERROR = Struct("=IBBBxII")
_FAMILY = Struct("=H")
_ADDRESSES = {AF_INET: (4, 4), AF_INET6: (8, 16)}  # where sockaddr_in and sockaddr_in6 have it, and its bytes
ORIGIN_ICMP, ORIGIN_ICMP6 = 2, 3
SIZE = _ERROR.size + 28  # with a sockaddr_in6

# RFC 792, RFC 1122 3.2.2.1 and RFC 1812 5.2.7.1; RFC 4443 3.1 and 3.2.
_V4 = {
    (3, 0): "network unreachable", (3, 1): "host unreachable", (3, 2): "protocol unreachable",
    (3, 3): "port unreachable", (3, 4): "fragmentation needed", (3, 5): "source route failed",
    (3, 6): "network unknown", (3, 7): "host unknown", (3, 9): "network prohibited", (3, 10): "host prohibited",
    (3, 13): "prohibited by a filter", (11, 0): "time to live exceeded",
}  # fmt: skip
_V6 = {
    (1, 0): "no route", (1, 1): "prohibited by a filter", (1, 2): "beyond the scope of the source address",
    (1, 3): "address unreachable", (1, 4): "port unreachable", (1, 5): "source address failed a policy",
    (1, 6): "route rejects", (2, 0): "packet too big", (3, 0): "hop limit exceeded",
}  # fmt: skip


class IcmpError(Record, frozen=True, kw_only=True):
    """One error. `who`: the address that sent it; None where the kernel does not say. `mtu`: of "too big" alone."""

    errno: int
    who: str | None
    says: str
    mtu: int | None = None


def parse(data: bytes) -> IcmpError | None:
    """The control message IP_RECVERR or IPV6_RECVERR; None: it is no ICMP error. Raises ParseError where too short."""
    if len(data) < _ERROR.size:
        raise ParseError(f"sock_extended_err needs {_ERROR.size} bytes, {len(data)} are there")
    errno, origin, kind, code, info, _data = _ERROR.unpack_from(data)
    if origin not in (ORIGIN_ICMP, ORIGIN_ICMP6):
        return None
    known = _V4 if origin == ORIGIN_ICMP else _V6
    says = known.get((kind, code), f"ICMP type {kind}, code {code}")
    too_big = (kind, code) == ((3, 4) if origin == ORIGIN_ICMP else (2, 0))
    return IcmpError(errno=errno, who=_address(data, _ERROR.size), says=says, mtu=info if too_big and info else None)


def _address(data: bytes, start: int) -> str | None:
    if len(data) < start + _FAMILY.size:
        return None
    place = _ADDRESSES.get(_FAMILY.unpack_from(data, start)[0])
    if place is None:
        return None
    at, size = start + place[0], place[1]
    return format_address(data[at : at + size]) if len(data) >= at + size else None
