"""Whether big segments are lost where small ones pass, and from which size on: requests in segments of a given size.

TCP_MAXSEG before connect() bounds what is announced and what is sent (`tcp_connect_init` and `tcp_current_mss`,
net/ipv4/tcp_output.c), so that it holds for both ways: an IP packet has so many bytes and 40 more, of IPv6 60. The
first request asks for segments of 536 bytes, which every IPv4 path takes (RFC 1122, 3.3.3), the second leaves the size
to the kernel. A server need not answer: its kernel acknowledges what it did not even read. Bounded in connects and
time; nothing here raises.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import socket
import struct
import termios
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from estab.errors import ParseError
from estab.kernel.formats import tcp_info
from estab.kernel.rules.segment_size import SMALL_MSS
from estab.load.addresses import socket_address
from estab.load.exchange import ECHO, NONE, Exchange
from estab.load.plan import Address
from estab.load.pyengine.replies import Reply, new_reply
from estab.load.search import SizeSearch
from estab.records import SizeProbe

CONNECTS = 2  # without a search
_LONGEST_S = 1.5
_TICK_S = 0.02
_LEAST_S, _TIMES = 0.7, 4  # patience with a size: twice the least timeout of a segment, and as long as a small one took
_AT_ONCE = 5
_IPV4_HEADERS, _IPV6_HEADERS = 40, 60  # of IP and TCP, without options
_TIMESTAMPS_BYTES = 12  # RFC 7323, appendix A


@dataclass(frozen=True)
class Asking:
    """What is asked of whom; each request has `within_s` seconds."""

    target: Address
    exchange: Exchange
    within_s: float
    source: str | None = None

    @property
    def request(self) -> bytes:
        """The bytes that are sent; those of an echo are the same whatever they are."""
        return self.exchange.request or bytes(self.exchange.size)

    @property
    def headers(self) -> int:
        """Bytes of a packet around its segment."""
        return _IPV6_HEADERS if ":" in self.target[0] else _IPV4_HEADERS


@dataclass(frozen=True)
class _Passed:
    """Whether the request was acknowledged to its end, whether its reply came to its end, and how much of it came.

    `full_bytes`: of an IP packet with a whole segment. `took_s`: from the connect until all that was known.
    """

    acknowledged: bool
    answered: bool
    replied_bytes: int
    full_bytes: int
    took_s: float


def asking(target: Address, exchange: Exchange, timeout_s: float, source: str | None = None) -> Asking:
    """As a run with that timeout (0: none) asked; a probe waits no longer than 1.5 s for each."""
    return Asking(target, exchange, min(timeout_s or _LONGEST_S, _LONGEST_S), source)


def probe(asked: Asking, most: int = CONNECTS, until_s: float = math.inf) -> SizeProbe | None:
    """What became of a request in small segments and in full ones; then, with `most` connects in all and until then
    (monotonic), from which size on it is lost. None: no connect at all.
    """
    small = _ask(asked, SMALL_MSS)
    if small is None:
        return None
    full = _ask(asked, None) if small.acknowledged else None
    told = SizeProbe(
        size_bytes=len(asked.request),
        small_mss=SMALL_MSS,
        small_acknowledged=small.acknowledged,
        small_answered=small.answered,
        full_acknowledged=None if full is None else full.acknowledged,
        full_answered=None if full is None else full.answered,
        full_bytes=None if full is None else _largest(asked, small, full),
        connects=1 if full is None else CONNECTS,
    )
    if full is None or told.full_passed or most <= CONNECTS:
        return told
    patient_s = _LEAST_S + _TIMES * max(small.took_s, full.took_s if full.answered else 0.0)
    return _searched(replace(asked, within_s=min(asked.within_s, patient_s)), told, most, until_s)


def _largest(asked: Asking, small: _Passed, full: _Passed) -> int:
    """Bytes of the largest IP packet that was sent: a whole segment's, if request or reply fill one."""
    data = max(len(asked.request), small.replied_bytes)
    return min(full.full_bytes, data + asked.headers + _TIMESTAMPS_BYTES)


def _searched(asked: Asking, told: SizeProbe, most: int, until_s: float) -> SizeProbe:
    """With the border between what passes and what is lost, tried once more; without it where chance plays a part.

    Who acknowledges is a kernel, which minds no company; who answers may be a program with one connection at a time.
    """
    lost = "answers" if told.full_acknowledged else "requests"
    at_once = 1 if told.full_acknowledged else _AT_ONCE
    search, used = SizeSearch(SMALL_MSS + asked.headers, told.full_bytes or 0), CONNECTS
    while time.monotonic() < until_s and (sizes := search.next(min(at_once, most - used - CONNECTS))):
        used += len(sizes)
        if not (passed := _all_passed(asked, lost, sizes)):
            break
        search.tried(passed)
    if search.fails - search.passes != 1:
        return told.replace(connects=used)
    told = told.replace(connects=used + CONNECTS)
    border = _all_passed(asked, lost, [search.passes]) | _all_passed(asked, lost, [search.fails])
    if border != {search.passes: True, search.fails: False}:
        return told
    return told.replace(passes_bytes=search.passes, loses_bytes=search.fails, lost=lost)


def _all_passed(asked: Asking, lost: str, sizes: Sequence[int]) -> dict[int, bool]:
    """Which of these sizes of an IP packet passed, side by side. Without those that did not connect."""
    with ThreadPoolExecutor(max(1, len(sizes))) as threads:
        outcomes = list(threads.map(lambda size: _ask(asked, size - asked.headers), sizes))
    return {
        size: outcome.answered if lost == "answers" else outcome.acknowledged
        for size, outcome in zip(sizes, outcomes, strict=True)
        if outcome is not None
    }


# One request -------------------------------------------------------------------------------------------------------


def _ask(asked: Asking, mss: int | None) -> _Passed | None:
    family, address = socket_address(asked.target)
    began_s = time.monotonic()
    with contextlib.suppress(OSError, ParseError), socket.socket(family) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if mss is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
        if asked.source is not None:
            sock.bind((asked.source, 0))
        sock.settimeout(asked.within_s)
        sock.connect(address)
        sock.setblocking(False)
        return _passes(sock, asked, began_s)
    return None


def _passes(sock: socket.socket, asked: Asking, began_s: float) -> _Passed:
    left = memoryview(asked.request)
    replied, full_bytes = _Replied(asked.exchange), _full_bytes(sock) + asked.headers
    acknowledged = False
    while time.monotonic() < began_s + asked.within_s and not (acknowledged and replied.is_over):
        try:
            with contextlib.suppress(BlockingIOError):
                left = left[sock.send(left) :] if left else left
            with contextlib.suppress(BlockingIOError):
                replied.take(b"" if replied.is_over else sock.recv(65536))
        except ConnectionError:  # who answers by RST has got it
            return _Passed(not left, replied.is_whole, replied.size, full_bytes, time.monotonic() - began_s)
        acknowledged = not left and _unacknowledged(sock) == 0
        time.sleep(_TICK_S)
    return _Passed(acknowledged, replied.is_whole, replied.size, full_bytes, time.monotonic() - began_s)


class _Replied:
    """What of the reply has come. `is_over`: it is whole, or nothing more will come."""

    def __init__(self, exchange: Exchange) -> None:
        self._want = exchange.size if exchange.reply == ECHO else None
        self._reply: Reply | None = None if exchange.reply in (ECHO, NONE) else new_reply(exchange.config())
        self.size = 0
        self.is_whole = self.is_over = False

    def take(self, data: bytes) -> None:
        """Takes what came; nothing: the peer has closed."""
        self.size += len(data)
        if self._want is not None:
            self.is_whole = self.size >= self._want
        elif self._reply is not None and data:
            self.is_whole = self.is_whole or self._reply.take(data).is_over
        elif self._reply is not None:
            self.is_whole = self.is_whole or (self._reply.ends_with_connection and self.size > 0)
        self.is_over = self.is_over or self.is_whole or not data


def _full_bytes(sock: socket.socket) -> int:
    """Bytes of a whole segment with its options: what TCP_MAXSEG says after connect() is without them (tcp(7))."""
    info = tcp_info.parse(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, tcp_info.SIZE))
    options = _TIMESTAMPS_BYTES if info.has_timestamps else 0
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) + options


def _unacknowledged(sock: socket.socket) -> int:
    """Bytes that were written and not acknowledged (tcp(7), SIOCOUTQ)."""
    told = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    count: int = struct.unpack("i", told)[0]
    return count
