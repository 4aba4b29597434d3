"""sock_diag for UNIX sockets: the question (which sockets), and the answer (one `unix_diag_msg` a socket), read.

Source: `include/uapi/linux/unix_diag.h`, as `net/unix/diag.c` fills it. What never may live here: the netlink socket.
"""

from __future__ import annotations

from struct import Struct

from estab.errors import ParseError
from estab.kernel.formats import netlink
from estab.kernel.formats.inet_diag import SOCK_DIAG_BY_FAMILY
from estab.kernel.formats.inet_diag.sockets import DumpState, control
from estab.records.base import Record

AF_UNIX = 1

# What is asked of each socket (`udiag_show`).
_SHOW_NAME, _SHOW_QUEUE, _SHOW_UID = 1 << 0, 1 << 4, 1 << 6
_ATTR_NAME, _ATTR_QUEUE, _ATTR_UID = 0, 4, 7

# struct unix_diag_req: family, protocol, states, inode, show, cookie.
_REQUEST = Struct("=BBxxIIIII")
_NO_COOKIE = 0xFFFFFFFF
# struct unix_diag_msg: family, type, state, inode, cookie.
_SOCKET = Struct("=BBBxIII")
SOCKET_SIZE = _SOCKET.size  # 16
_QUEUE, _UID = Struct("=II"), Struct("=I")


class UnixSocket(Record, frozen=True, kw_only=True):
    """One UNIX socket. On a listener `rqueue` is how many connections wait for accept(), `wqueue` its limit B.

    `kind` is SOCK_STREAM (1) or SOCK_SEQPACKET (5). `name` is its path, or what stands for it: an abstract name begins
    with `@`. None: it has none, or the kernel did not say.
    """

    kind: int
    state: int
    inode: int
    name: str | None = None
    rqueue: int | None = None
    wqueue: int | None = None
    uid: int | None = None


def request(mask: int, *, sequence: int = 1) -> bytes:
    """The dump request for all UNIX sockets in the states of `mask` (as TCP's, `inet_diag.states`).

    With names, queues and, where the kernel tells them (since 5.3), users.
    """
    show = _SHOW_NAME | _SHOW_QUEUE | _SHOW_UID
    body = _REQUEST.pack(AF_UNIX, 0, mask, 0, show, _NO_COOKIE, _NO_COOKIE)
    flags = netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP
    return netlink.HEADER.pack(netlink.HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, flags, sequence, 0) + body


def parse_socket(data: bytes | memoryview, start: int, end: int) -> UnixSocket:
    """The socket whose `unix_diag_msg` with attributes stands between `start` and `end`.

    Raises ParseError where it is too short, of another family, or an attribute does not fit.
    """
    if end - start < SOCKET_SIZE:
        raise ParseError(f"unix_diag_msg needs {SOCKET_SIZE} bytes, {end - start} are left", start)
    family, kind, state, inode, *_cookie = _SOCKET.unpack_from(data, start)
    if family != AF_UNIX:
        raise ParseError(f"unix_diag_msg of family {family}, expected {AF_UNIX}", start)
    name: str | None = None
    rqueue = wqueue = uid = None
    for attribute, first, last in netlink.attributes(data, start + SOCKET_SIZE, end):
        if attribute == _ATTR_NAME:
            name = name_text(bytes(data[first:last]))
        elif attribute == _ATTR_QUEUE and last - first >= _QUEUE.size:
            rqueue, wqueue = _QUEUE.unpack_from(data, first)
        elif attribute == _ATTR_UID and last - first >= _UID.size:
            (uid,) = _UID.unpack_from(data, first)
    return UnixSocket(kind=kind, state=state, inode=inode, name=name, rqueue=rqueue, wqueue=wqueue, uid=uid)


def name_text(name: bytes) -> str | None:
    """`sun_path` as people write it: a path up to its NUL; an abstract name (it begins with NUL) with `@` for each NUL.

    What is no UTF-8 stands as `\\xNN`. None for an empty one. Source: unix(7); `ss` and /proc/net/unix write it so too.
    """
    if not name:
        return None
    if name[0] == 0:
        return name.replace(b"\0", b"@").decode("utf-8", "backslashreplace")
    return name.partition(b"\0")[0].decode("utf-8", "backslashreplace") or None


class UnixSockets:
    """Collects the sockets of a dump, one object each."""

    def __init__(self) -> None:
        self.found: list[UnixSocket] = []

    def add(self, data: bytes | memoryview) -> DumpState:
        """Take one datagram. Raises ParseError where it is damaged."""
        interrupted = False
        for message in netlink.messages(data):
            interrupted |= message.interrupted
            if message.kind == SOCK_DIAG_BY_FAMILY:
                self.found.append(parse_socket(data, message.start, message.end))
            elif (end := control(data, message)) is not None:
                return end.replace(interrupted=interrupted)
        return DumpState(done=False, interrupted=interrupted)
