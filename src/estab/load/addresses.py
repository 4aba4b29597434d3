"""An address of a plan as Python's sockets take it. No more: workers import it."""

from __future__ import annotations

import socket

from estab.kernel.formats.endpoint import UNIX, is_unix


def socket_address(address: tuple[str, int, int]) -> tuple[socket.AddressFamily, str | tuple[str | int, ...]]:
    """The family and the address of (numeric host, port, IPv6 scope), or of (`unix:/path`, 0, 0)."""
    host, port, scope = address
    if is_unix(host):
        name = host.removeprefix(UNIX)
        return socket.AF_UNIX, "\0" + name[1:] if name.startswith("@") else name
    return (socket.AF_INET6, (host, port, 0, scope)) if ":" in host else (socket.AF_INET, (host, port))
