"""Whether an echo request is answered, as `ping -c1 -W0.3` would say: a raw ICMP socket inside a host of the stage."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import struct
import time

from estab.kernel.formats.checksum import checksum
from estab.lab.process.namespace import LabNamespace

PATIENCE_S = 0.3
_ECHO_REQUEST, _ECHO_REPLY = 8, 0
_IP_HEADER_BYTES = 20
_identifiers = itertools.count(7)  # each a flow of its own to a firewall


def pings(*ways: tuple[LabNamespace, str]) -> list[bool]:
    """One echo request from each `space` to its `address`, all at the same time: which were answered."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(_sent(space, address)) for space, address in ways]
        until = time.monotonic() + PATIENCE_S
        return [_answered(probe, until, address) for probe, (_, address) in zip(probes, ways, strict=True)]


def _sent(space: LabNamespace, address: str) -> socket.socket:
    head = struct.pack("!BBHHH", _ECHO_REQUEST, 0, 0, next(_identifiers), 1)
    with space.entered():
        probe = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    probe.sendto(head[:2] + struct.pack("!H", checksum(head)) + head[4:], (address, 0))
    return probe


def _answered(probe: socket.socket, until: float, address: str) -> bool:
    """Whether that address answers in time. (Its own request is heard as well, where it asks at the same time.)"""
    while select.select([probe], [], [], max(0.0, until - time.monotonic()))[0]:
        packet, (source, _) = probe.recvfrom(100)
        if source == address and packet[_IP_HEADER_BYTES] == _ECHO_REPLY:
            return True
    return False
