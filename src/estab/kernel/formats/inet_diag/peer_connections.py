"""The answer with INET_DIAG_INFO: how connections to one peer fare, with some of those whose data is lost, or one."""

from __future__ import annotations

from dataclasses import dataclass, field

from estab.kernel.formats import netlink, tcp_info
from estab.kernel.formats.inet_diag.census import LOST_AFTER, RETRANSMIT_TIMER
from estab.kernel.formats.inet_diag.sockets import SOCKET_SIZE, DumpState, InetSocket, parse_socket, through
from estab.kernel.formats.tcp_info import TcpInfo

_INFO = 2  # INET_DIAG_INFO
MOST_KEPT = 8


@dataclass
class PeerConnections:
    """Takes a dump of the ESTABLISHED connections towards one peer, with INET_DIAG_INFO. For few of them, or rarely.

    `count` of all; `lost`: those whose data was sent again and again, the first eight of them in `kept`.
    `heard_ms`: how long ago an acknowledgement last came on any; None: there is none, or the kernel does not tell.
    """

    count: int = 0
    lost: int = 0
    heard_ms: int | None = None
    kept: list[tuple[InetSocket, TcpInfo]] = field(default_factory=list)

    def add(self, data: bytes | memoryview) -> DumpState:
        """Take one datagram. Raises ParseError where it is damaged."""
        return through(data, lambda message: self._take(data, message.start, message.end))

    def _take(self, data: bytes | memoryview, start: int, end: int) -> None:
        connection = parse_socket(data, start, end)
        info = _info(data, start, end)
        self.count += 1
        if info is not None:
            heard = info.last_ack_recv_ms
            self.heard_ms = heard if self.heard_ms is None else min(self.heard_ms, heard)
        if connection.timer == RETRANSMIT_TIMER and connection.retransmits >= LOST_AFTER:
            self.lost += 1
            if info is not None and len(self.kept) < MOST_KEPT:
                self.kept.append((connection, info))


@dataclass
class OneConnection:
    """Takes the answer about one connection, with INET_DIAG_INFO. `seen`: None where nothing is told."""

    seen: tuple[InetSocket, TcpInfo] | None = None

    def add(self, data: bytes | memoryview) -> DumpState:
        """Take one datagram. Raises ParseError where it is damaged."""
        return through(data, lambda message: self._take(data, message.start, message.end))

    def _take(self, data: bytes | memoryview, start: int, end: int) -> None:
        if (info := _info(data, start, end)) is not None:
            self.seen = parse_socket(data, start, end), info


def _info(data: bytes | memoryview, start: int, end: int) -> TcpInfo | None:
    for kind, first, last in netlink.attributes(data, start + SOCKET_SIZE, end):
        if kind == _INFO:
            return tcp_info.parse(data, first, last)
    return None
