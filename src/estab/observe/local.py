"""Whether an address is this host's own."""

from __future__ import annotations

import errno
import socket

from estab.kernel.formats.endpoint import is_unix


def is_local(host: str) -> bool:
    """Whether the literal address `host` is this host's own, in this network namespace: whether it can be bound.

    A UNIX socket is. A host with `net.ipv4.ip_nonlocal_bind` set lets every address be bound, so there every address
    counts as its own.
    """
    if is_unix(host):
        return True
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
            probe.bind(socket.getaddrinfo(host, 0, family, flags=socket.AI_NUMERICHOST)[0][4])
    except OSError as error:
        # Anything else than "not mine" or "no such family" leaves it open, and the listeners will tell.
        return error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENODEV, errno.EINVAL)
    return True
