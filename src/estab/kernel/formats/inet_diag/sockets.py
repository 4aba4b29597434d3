"""The answer, one object a socket (`inet_diag_msg` with attributes), and what a dump's datagrams say beside them.

Source: `include/uapi/linux/inet_diag.h` and `sock_diag.h`, as `net/ipv4/inet_diag.c` fills them.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from estab.errors import ParseError
from estab.kernel.formats import netlink
from estab.kernel.formats.inet_diag.addresses import AF_INET, AF_INET6, format_address
from estab.kernel.formats.inet_diag.request import KINDS
from estab.kernel.formats.inet_diag.states import state_name
from estab.records.base import Record

_ATTR_SKMEMINFO = 7
_ATTR_SKV6ONLY = 11

# struct inet_diag_msg. The ports alone are big-endian, so they are read as bytes and turned.
_SOCKET = Struct("=BBBB2s2s16s16sIQIIIII")
SOCKET_SIZE = _SOCKET.size  # 72
_DROPS = Struct("=I")
_DROPS_OFFSET = 32  # SK_MEMINFO_DROPS, the ninth word; before 4.6 it is absent


class InetSocket(Record, frozen=True, kw_only=True):
    """One TCP socket. `family` is 4 or 6; addresses are text. On a listener `rqueue` is the queue, `wqueue` its limit.

    `inode` is 0 where no process holds it: half-open, queued, orphaned, TIME-WAIT. `timer_ms` is until the running
    timer fires. `v6only` is None except on IPv6 sockets that listen.
    """

    family: int
    state: int
    timer: int
    retransmits: int
    local_address: str
    local_port: int
    remote_address: str
    remote_port: int
    interface: int
    cookie: int
    timer_ms: int
    rqueue: int
    wqueue: int
    uid: int
    inode: int
    drops: int | None = None
    v6only: bool | None = None

    @property
    def state_name(self) -> str:
        """The state as `ss` prints it."""
        return state_name(self.state)


def parse_socket(data: bytes | memoryview, start: int, end: int) -> InetSocket:
    """The socket whose `inet_diag_msg` with attributes stands between `start` and `end`.

    Raises ParseError where it is too short, of a family that is neither IPv4 nor IPv6, or an attribute does not fit.
    """
    if end - start < SOCKET_SIZE:
        raise ParseError(f"inet_diag_msg needs {SOCKET_SIZE} bytes, {end - start} are left", start)
    (family, state, timer, retransmits, local_port, remote_port, local, remote, interface, cookie, *numbers) = (
        _SOCKET.unpack_from(data, start)
    )
    if family not in (AF_INET, AF_INET6):
        raise ParseError(f"inet_diag_msg of family {family}, expected {AF_INET} or {AF_INET6}", start)
    width = 4 if family == AF_INET else 16
    expires, rqueue, wqueue, uid, inode = numbers
    drops, v6only = _attributes(data, start + SOCKET_SIZE, end)
    return InetSocket(
        family=4 if family == AF_INET else 6,
        state=state,
        timer=timer,
        retransmits=retransmits,
        local_address=format_address(local[:width]),
        local_port=int.from_bytes(local_port, "big"),
        remote_address=format_address(remote[:width]),
        remote_port=int.from_bytes(remote_port, "big"),
        interface=interface,
        cookie=cookie,
        timer_ms=expires,
        rqueue=rqueue,
        wqueue=wqueue,
        uid=uid,
        inode=inode,
        drops=drops,
        v6only=v6only,
    )


def _attributes(data: bytes | memoryview, start: int, end: int) -> tuple[int | None, bool | None]:
    drops: int | None = None
    v6only: bool | None = None
    for kind, first, last in netlink.attributes(data, start, end):
        if kind == _ATTR_SKMEMINFO and last - first >= _DROPS_OFFSET + _DROPS.size:
            drops = _DROPS.unpack_from(data, first + _DROPS_OFFSET)[0]
        elif kind == _ATTR_SKV6ONLY and last > first:
            v6only = bool(data[first])
    return drops, v6only


class DumpState(Record, frozen=True, kw_only=True):
    """How far a dump is after one datagram. `errno` is positive where the kernel ended it with an error."""

    done: bool
    interrupted: bool
    errno: int = 0


_GOES_ON = DumpState(done=False, interrupted=False)


class Sockets:
    """Collects the sockets of a dump, one object each: for questions with few answers."""

    def __init__(self) -> None:
        self.found: list[InetSocket] = []

    def add(self, data: bytes | memoryview) -> DumpState:
        """Take one datagram. Raises ParseError where it is damaged."""
        return through(data, lambda message: self.found.append(parse_socket(data, message.start, message.end)))


class Datagrams:
    """Keeps the datagrams of a dump as they came, for who reads few of many dumps: `Sockets` takes them later."""

    def __init__(self) -> None:
        self.held: list[bytes] = []

    def add(self, data: bytes | memoryview) -> DumpState:
        """Take one datagram. Raises ParseError where its messages do not fit; its sockets are not looked at."""
        self.held.append(bytes(data))
        return _GOES_ON if netlink.goes_on(data) else through(data, lambda _message: None)


def through(data: bytes | memoryview, take: Callable[[netlink.Message], None]) -> DumpState:
    """Has each socket of one datagram taken, and says how far the dump is after it."""
    interrupted = False
    for message in netlink.messages(data):
        interrupted |= message.interrupted
        if message.kind in KINDS:
            take(message)
        elif (end := control(data, message)) is not None:
            return end.replace(interrupted=interrupted)
    return DumpState(done=False, interrupted=interrupted)


def control(data: bytes | memoryview, message: netlink.Message) -> DumpState | None:
    """What a message that is not a socket does to the dump; None where it goes on."""
    if message.kind in (netlink.NLMSG_DONE, netlink.NLMSG_ERROR):
        errno = netlink.error_number(data, message)
        return DumpState(done=True, interrupted=False, errno=errno)
    if message.kind == netlink.NLMSG_OVERRUN:
        raise ParseError("netlink says that messages were lost (NLMSG_OVERRUN)", message.start)
    return None
