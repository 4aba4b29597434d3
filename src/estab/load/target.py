"""TARGET: `HOST:PORT` or `[v6]:PORT` to a numeric address."""

from __future__ import annotations

import socket

from estab.errors import UsageError
from estab.load.plan import Address


def parse(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT` or `[v6]:PORT`. Raises UsageError with what is wrong."""
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]:")
        if not bracket:
            raise UsageError(f"target {text!r}: after '[' an IPv6 address and ']:PORT' must come, as [::1]:8080")
    else:
        host, colon, port = text.rpartition(":")
        if not colon:
            raise UsageError(f"target {text!r} has no port: give HOST:PORT, as 127.0.0.1:8080")
        if ":" in host:
            raise UsageError(f"target {text!r}: write an IPv6 address in brackets, as [{host}]:{port}")
    if not host:
        raise UsageError(f"target {text!r} has no host: give HOST:PORT, as 127.0.0.1:8080")
    if not (port.isascii() and port.isdigit()):
        raise UsageError(f"target {text!r}: port {port!r} is not a number")
    return host, check_port(int(port), text)


def check_port(port: int, text: str) -> int:
    """The port, if a connection can go there. Raises UsageError."""
    if not 1 <= port <= 65535:
        raise UsageError(f"target {text!r}: port {port} can't be; it can be 1 to 65535")
    return port


def resolve(text: str) -> Address:
    """The first numeric address of a target: (host, port, IPv6 scope). Raises UsageError for an unknown host."""
    host, port = parse(text)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"target {text!r}: unknown host {host!r} ({why})") from error
    address = found[0][4]
    scope = address[3] if len(address) == 4 else 0
    return str(address[0]).split("%")[0], port, scope
