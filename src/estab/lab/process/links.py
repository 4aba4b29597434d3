"""Links, addresses, neighbours and routes of this thread's network namespace, by rtnetlink(7).

What lives here: each request as bytes (`include/uapi/linux/rtnetlink.h`, `if_link.h`, `if_addr.h`, `neighbour.h`), sent
and answered before its function returns. All of them raise MachineError with what was asked and why it was refused.
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass

from estab.errors import MachineError
from estab.kernel.formats import netlink

_NETLINK_ROUTE = 0
_NEW_LINK, _NEW_ADDRESS, _NEW_ROUTE, _DELETE_ROUTE, _NEW_NEIGHBOUR, _DELETE_NEIGHBOUR = 16, 20, 24, 25, 28, 29
_ACK, _NEW = 0x4, 0x400 | 0x200  # NLM_F_CREATE | NLM_F_EXCL
_LINK_ADDRESS, _LINK_NAME, _LINK_MTU, _LINK_INFO, _LINK_NAMESPACE = 1, 3, 4, 18, 28
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_UP, _NO_ARP = 0x1, 0x80  # `include/uapi/linux/if.h`
_NUD_PERMANENT = 0x80
_MAIN_TABLE, _BY_ADMINISTRATOR = 254, 4
_UNICAST, _PROHIBIT = 1, 8
_EVERYWHERE, _ON_LINK, _ANY_SCOPE = 0, 253, 255
_ROUTE_TO, _ROUTE_LINK, _ROUTE_GATEWAY, _ROUTE_SOURCE = 1, 4, 5, 7
_ANSWER_BYTES = 4096


def add_veth(name: str, peer: str, namespace: int) -> None:
    """A veth pair: `name` here, `peer` in the network namespace that this descriptor is of."""
    far = _link() + _text(_LINK_NAME, peer) + _attribute(_LINK_NAMESPACE, struct.pack("=I", namespace))
    info = _text(_INFO_KIND, "veth") + _attribute(_INFO_DATA, _attribute(_VETH_PEER, far))
    near = _link() + _text(_LINK_NAME, name) + _attribute(_LINK_INFO, info)
    _ask(f"make a veth pair of {name} and {peer}", _NEW_LINK, near, _NEW)


def set_up(name: str) -> None:
    """Sets a link up."""
    _ask(f"set {name} up", _NEW_LINK, _link(name, _UP))


def set_mac(name: str, address: str) -> None:
    """Gives a link a hardware address, written as `02:00:00:00:00:01`."""
    _ask(f"set {name} address {address}", _NEW_LINK, _link(name) + _attribute(_LINK_ADDRESS, _mac(address)))


def set_mtu(name: str, mtu: int) -> None:
    """How many bytes a packet of a link may have."""
    _ask(f"set {name} mtu {mtu}", _NEW_LINK, _link(name) + _attribute(_LINK_MTU, struct.pack("=I", mtu)))


def silence_arp(name: str) -> None:
    """A link that neither asks by ARP nor answers."""
    _ask(f"set {name} arp off", _NEW_LINK, _link(name, _NO_ARP))


def add_address(address: str, prefix: int, name: str) -> None:
    """An IPv4 address of a link, with the length of its network's prefix."""
    packed = socket.inet_aton(address)
    head = struct.pack("=BBBBI", socket.AF_INET, prefix, 0, _EVERYWHERE, _index(name))
    _ask(f"add {address}/{prefix} to {name}", _NEW_ADDRESS, head + _attribute(1, packed) + _attribute(2, packed), _NEW)


def add_neighbour(address: str, mac: str, name: str) -> None:
    """Who has an address on a link is known for good: it is never asked."""
    known = _neighbour(address, name, _NUD_PERMANENT) + _attribute(2, _mac(mac))
    _ask(f"add neighbour {address}", _NEW_NEIGHBOUR, known, _NEW)


def delete_neighbour(address: str, name: str) -> None:
    """Who has it is not known any more."""
    _ask(f"delete neighbour {address}", _DELETE_NEIGHBOUR, _neighbour(address, name, 0))


@dataclass(frozen=True)
class Route:
    """To an IPv4 network, by default to all: by a gateway, or straight out of a link, with the source address there."""

    network: str = "0.0.0.0"
    prefix: int = 0
    gateway: str | None = None
    link: str | None = None
    source: str | None = None
    prohibited: bool = False

    def __str__(self) -> str:
        ways = {"via": self.gateway, "dev": self.link, "src": self.source}
        return " ".join([f"route {self.network}/{self.prefix}", *(f"{way} {to}" for way, to in ways.items() if to)])


def add_route(route: Route) -> None:
    """A route more."""
    kind = _PROHIBIT if route.prohibited else _UNICAST
    scope = _ON_LINK if route.link is not None and route.gateway is None else _EVERYWHERE
    _ask(f"add {route}", _NEW_ROUTE, _route(route, _BY_ADMINISTRATOR, scope, kind), _NEW)


def delete_route(route: Route) -> None:
    """That one away."""
    _ask(f"delete {route}", _DELETE_ROUTE, _route(route, 0, _ANY_SCOPE, 0))


# -- bytes -------------------------------------------------------------------------------------------------------------


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _text(kind: int, text: str) -> bytes:
    return _attribute(kind, text.encode() + b"\0")


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _index(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise MachineError(f"there is no link {name} in this network namespace") from error


def _link(name: str | None = None, flags: int = 0) -> bytes:
    """`struct ifinfomsg`; these flags are set, others stay."""
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, 0 if name is None else _index(name), flags, flags)


def _neighbour(address: str, name: str, state: int) -> bytes:
    """`struct ndmsg`, and whose it is."""
    head = struct.pack("=BxxxiHBB", socket.AF_INET, _index(name), state, 0, 0)
    return head + _attribute(1, socket.inet_aton(address))


def _route(route: Route, protocol: int, scope: int, kind: int) -> bytes:
    """`struct rtmsg`, and where to."""
    data = struct.pack("=8BI", socket.AF_INET, route.prefix, 0, 0, _MAIN_TABLE, protocol, scope, kind, 0)
    if route.prefix:
        data += _attribute(_ROUTE_TO, socket.inet_aton(route.network))
    if route.link is not None:
        data += _attribute(_ROUTE_LINK, struct.pack("=i", _index(route.link)))
    for which, address in ((_ROUTE_GATEWAY, route.gateway), (_ROUTE_SOURCE, route.source)):
        data += b"" if address is None else _attribute(which, socket.inet_aton(address))
    return data


def _ask(what: str, kind: int, body: bytes, flags: int = 0) -> None:
    size = netlink.HEADER.size + len(body)
    header = netlink.HEADER.pack(size, kind, netlink.NLM_F_REQUEST | _ACK | flags, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE) as asked:
        asked.send(header + body)
        answer = asked.recv(_ANSWER_BYTES)
    number = next((netlink.error_number(answer, message) for message in netlink.messages(answer)), 0)
    if number:
        raise MachineError(f"the lab could not {what}: {os.strerror(number)}")
