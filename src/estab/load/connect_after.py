"""One connect after a run: does the target answer it, and who says that it can't? Bounded in time; nothing raises.

Who said so by ICMP stands in the socket's error queue (IP_RECVERR, ip(7)), where the kernel puts it for TCP too.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from estab.errors import ParseError
from estab.kernel.formats import icmp_error
from estab.kernel.formats.endpoint import endpoint
from estab.kernel.formats.icmp_error import IcmpError
from estab.load.addresses import socket_address
from estab.load.block import OWN_TIMEOUT, code_name
from estab.load.plan import Address
from estab.records import ConnectAfter, NameAddress

_LONGEST_S = 2.2  # a SYN is sent again after 1 s, and after 2 or 3 s
_IP_RECVERR, _IPV6_RECVERR = 11, 25  # include/uapi/linux/in.h, in6.h
_CONTROL_BYTES = 512
_MOST_ADDRESSES = 8


def connect_after(target: Address, source: str | None = None) -> ConnectAfter:
    """What one connect to `target` gives, from the address `source` where one is asked for."""
    family, address = socket_address(target)
    began = time.monotonic()
    try:
        with socket.socket(family) as asking:
            _ask_who(asking)
            if source is not None:
                asking.bind((source, 0))
            asking.settimeout(_LONGEST_S)
            errno = _connect(asking, address)
            error = _said(asking) if errno is not None else None
    except OSError as failure:  # no socket, or no such source any more
        return ConnectAfter(errno=code_name(failure.errno or 0))
    waited_s = round(time.monotonic() - began, 3)
    if error is None:
        return ConnectAfter(errno=errno, waited_s=waited_s)
    return ConnectAfter(errno=errno, waited_s=waited_s, said_by=error.who, said=error.says)


def connect_each(addresses: Sequence[Address], source: str | None = None) -> list[NameAddress]:
    """The same of each of these, eight of them at the most, all at one time."""
    asked = addresses[:_MOST_ADDRESSES]
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = pool.map(lambda address: connect_after(address, _of_its_family(source, address)), asked)
        return [
            NameAddress(address=endpoint(address[0], address[1]), connect=answer)
            for address, answer in zip(asked, answers, strict=True)
        ]


def _of_its_family(source: str | None, address: Address) -> str | None:
    return source if source is not None and (":" in source) == (":" in address[0]) else None


def _connect(asking: socket.socket, address: object) -> str | None:
    try:
        asking.connect(address)  # type: ignore[arg-type]
    except TimeoutError as failure:
        return code_name(failure.errno or OWN_TIMEOUT)
    except OSError as failure:
        return code_name(failure.errno or 0)
    return None


def _ask_who(asking: socket.socket) -> None:
    with contextlib.suppress(OSError):
        if asking.family == socket.AF_INET6:
            asking.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        else:
            asking.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)


def _said(asking: socket.socket) -> IcmpError | None:
    """The first ICMP error in the socket's queue; None: there is none."""
    asking.setblocking(False)
    with contextlib.suppress(OSError, ParseError):
        _data, control, _flags, _address = asking.recvmsg(0, _CONTROL_BYTES, socket.MSG_ERRQUEUE)
        for level, kind, data in control:
            if (level, kind) in ((socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)):
                return icmp_error.parse(data)
    return None
