"""Whether big segments are lost where small ones pass: one request each way, on two connections of its own.

The first asks both ends for segments of 536 bytes (TCP_MAXSEG before connect() bounds what is announced and what is
sent, `tcp_connect_init` and `tcp_current_mss`, net/ipv4/tcp_output.c), which every IPv4 path takes (RFC 1122, 3.3.3).
The second leaves the size to the kernel. Two connects and two requests, bounded in time; nothing here raises.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import termios
import time
from dataclasses import dataclass

from estab.kernel.rules.segment_size import SMALL_MSS
from estab.load.addresses import socket_address
from estab.load.plan import Address
from estab.records import SizeProbe

_LONGEST_S = 1.5
_TICK_S = 0.02


@dataclass(frozen=True)
class _Passed:
    """Whether the request was acknowledged to its end, and whether anything came back."""

    acknowledged: bool
    answered: bool


def probe(target: Address, size_bytes: int, timeout_s: float, source: str | None = None) -> SizeProbe | None:
    """What became of a request of `size_bytes` in small segments, and of one in full ones. None: no connect at all."""
    within_s = min(timeout_s or _LONGEST_S, _LONGEST_S)
    small = _ask(target, size_bytes, within_s, source, SMALL_MSS)
    if small is None:
        return None
    full = _ask(target, size_bytes, within_s, source, None) if small.acknowledged else None
    return SizeProbe(
        size_bytes=size_bytes,
        small_mss=SMALL_MSS,
        small_acknowledged=small.acknowledged,
        small_answered=small.answered,
        full_acknowledged=None if full is None else full.acknowledged,
        full_answered=None if full is None else full.answered,
    )


def _ask(target: Address, size_bytes: int, within_s: float, source: str | None, mss: int | None) -> _Passed | None:
    family, address = socket_address(target)
    with contextlib.suppress(OSError), socket.socket(family) as asking:
        if mss is not None:
            asking.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
        if source is not None:
            asking.bind((source, 0))
        asking.settimeout(within_s)
        asking.connect(address)
        asking.setblocking(False)
        return _passes(asking, bytes(size_bytes), time.monotonic() + within_s)
    return None


def _passes(asking: socket.socket, request: bytes, until_s: float) -> _Passed:
    left, answered = memoryview(request), False
    while time.monotonic() < until_s and not (answered and not left):
        with contextlib.suppress(BlockingIOError):
            left = left[asking.send(left) :] if left else left
        with contextlib.suppress(BlockingIOError):
            answered = bool(asking.recv(65536)) or answered
        time.sleep(_TICK_S)
    return _Passed(not left and _unacknowledged(asking) == 0, answered)


def _unacknowledged(asking: socket.socket) -> int:
    """Bytes that were written and not acknowledged (tcp(7), SIOCOUTQ)."""
    told = fcntl.ioctl(asking.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    count: int = struct.unpack("i", told)[0]
    return count
