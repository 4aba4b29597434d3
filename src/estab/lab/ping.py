"""Whether an echo request is answered, as `ping -c1 -W0.3` would say: a raw ICMP socket inside a host of the stage."""

from __future__ import annotations

import itertools
import socket
import struct

from estab.lab.space import Space
from estab.lab.wire.packets import checksum

PATIENCE_S = 0.3
_ECHO_REQUEST = 8
_identifiers = itertools.count(7)  # each a flow of its own to a firewall


def ping(space: Space, address: str) -> bool:
    """One echo request from `space` to `address`."""
    head = struct.pack("!BBHHH", _ECHO_REQUEST, 0, 0, next(_identifiers), 1)
    with space.entered():
        probe = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    with probe:
        probe.settimeout(PATIENCE_S)
        probe.sendto(head[:2] + struct.pack("!H", checksum(head)) + head[4:], (address, 0))
        try:
            return bool(probe.recvfrom(100)[1][0] == address)
        except TimeoutError:
            return False
