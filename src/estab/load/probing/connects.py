"""Connects side by side, each closed by RST as soon as it is settled: what came of each, and after how long."""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

from estab.errors import ParseError
from estab.kernel.formats import tcp_info
from estab.load.addresses import socket_address
from estab.load.block import OWN_TIMEOUT, code_name
from estab.load.conductor import Stop
from estab.load.plan import Address
from estab.records import ConnectTry

_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: close() sends a RST, and no TIME_WAIT keeps the port
_IP_BIND_ADDRESS_NO_PORT = 24  # ip(7); not in Python's socket module


@dataclass(frozen=True)
class Attempt:
    """A connect that is to be made `after_s` seconds from now, from that source address and local port.

    None, 0: as the kernel chooses.
    """

    target: Address
    source: str | None = None
    local_port: int = 0
    after_s: float = 0.0


class _Underway:
    """A connect that waits for its answer."""

    def __init__(self, number: int, sock: socket.socket, within_s: float) -> None:
        self.number, self.sock = number, sock
        self.began_s = time.monotonic()
        self.until_s = self.began_s + within_s

    def tried(self, code: int) -> ConnectTry:
        """What came of it; the socket is closed."""
        ms = round((time.monotonic() - self.began_s) * 1000, 3)
        again = _sent_again(self.sock)
        self.sock.close()
        return ConnectTry(errno=code_name(code) if code else None, ms=ms, resent=again)


def attempts(asked: Sequence[Attempt], within_s: float, stop: Stop | None = None) -> list[ConnectTry | None]:
    """What came of each; each has `within_s` seconds. None: its local port is another's, or a stop was asked for."""
    outcomes: list[ConnectTry | None] = [None] * len(asked)
    due = sorted(range(len(asked)), key=lambda number: asked[number].after_s)
    start_s = time.monotonic()
    with selectors.DefaultSelector() as poll, contextlib.ExitStack() as left_open:
        if stop is not None:
            poll.register(stop, selectors.EVENT_READ)
        while (due or _underway(poll)) and (stop is None or not stop.is_set):
            while due and time.monotonic() >= start_s + asked[due[0]].after_s:
                number = due.pop(0)
                outcomes[number] = _begin(number, asked[number], within_s, poll, left_open)
            for key, _events in poll.select(_wait_s(poll, start_s + asked[due[0]].after_s if due else None)):
                if key.data is None:
                    continue
                poll.unregister(key.fileobj)
                code = key.data.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                outcomes[key.data.number] = key.data.tried(code)
            for key in _overdue(poll):
                poll.unregister(key.fileobj)
                outcomes[key.data.number] = key.data.tried(OWN_TIMEOUT)
    return outcomes


def _begin(
    number: int, asked: Attempt, within_s: float, poll: selectors.BaseSelector, left_open: contextlib.ExitStack
) -> ConnectTry | None:
    """Begins a connect. What came of it, where that is known at once; else None."""
    family, address = socket_address(asked.target)
    sock = left_open.enter_context(socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
    underway = _Underway(number, sock, within_s)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    try:
        _bind(sock, asked)
    except OSError:
        sock.close()
        return None
    code = sock.connect_ex(address)
    if code in (errno.EINPROGRESS, errno.EINTR):
        poll.register(sock, selectors.EVENT_WRITE, underway)
        return None
    return underway.tried(code)


def _bind(sock: socket.socket, asked: Attempt) -> None:
    if asked.local_port:
        # One that was closed a moment ago may still be in TIME_WAIT.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        anywhere = "::" if sock.family == socket.AF_INET6 else "0.0.0.0"
        sock.bind((asked.source or anywhere, asked.local_port))
    elif asked.source is not None:
        sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((asked.source, 0))


def _underway(poll: selectors.BaseSelector) -> list[selectors.SelectorKey]:
    """All but the stop."""
    return [key for key in poll.get_map().values() if key.data is not None]


def _overdue(poll: selectors.BaseSelector) -> list[selectors.SelectorKey]:
    now_s = time.monotonic()
    return [key for key in _underway(poll) if key.data.until_s <= now_s]


def _wait_s(poll: selectors.BaseSelector, next_s: float | None) -> float:
    moments = [key.data.until_s for key in _underway(poll)]
    moments += [] if next_s is None else [next_s]
    return max(0.0, min(moments, default=0.0) - time.monotonic())


def _sent_again(sock: socket.socket) -> int | None:
    with contextlib.suppress(OSError, ParseError):
        return tcp_info.parse(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, tcp_info.SIZE)).total_retrans
    return None
