"""TARGET: `HOST:PORT` or `[v6]:PORT` to a numeric address."""

from __future__ import annotations

import socket

from estab.errors import MachineError, UsageError
from estab.load.plan import Address


def split(text: str, what: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT` or `[v6]:PORT`, any port. `what` names it in the UsageError that is raised."""
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]:")
        if not bracket:
            raise UsageError(f"{what} {text!r}: after '[' an IPv6 address and ']:PORT' must come, as [::1]:8080")
    else:
        host, colon, port = text.rpartition(":")
        if not colon:
            raise UsageError(f"{what} {text!r} has no port: give HOST:PORT, as 127.0.0.1:8080")
        if ":" in host:
            raise UsageError(f"{what} {text!r}: write an IPv6 address in brackets, as [{host}]:{port}")
    if not host:
        raise UsageError(f"{what} {text!r} has no host: give HOST:PORT, as 127.0.0.1:8080")
    if not (port.isascii() and port.isdigit() and len(port) < 10):
        raise UsageError(f"{what} {text!r}: port {port!r} is not a number from 1 to 65535")
    return host, int(port)


def parse(text: str, parameter: str = "target") -> tuple[str, int]:
    """Host and port of a target. Raises UsageError with what is wrong, and with the parameter that it was given as."""
    host, port = split(text, f"`{parameter}`")
    if not 1 <= port <= 65535:
        raise UsageError(f"`{parameter}` {text!r}: port {port} can't be; it can be 1 to 65535")
    return host, port


def resolve(text: str, parameter: str = "target") -> Address:
    """The first numeric address of a target: (host, port, IPv6 scope). Raises UsageError for an unknown host."""
    return look_up(*parse(text, parameter), f"`{parameter}` {text!r}")


def look_up(host: str, port: int, asked: str) -> Address:
    """As `resolve`, of a host and a port. `asked` is what an error begins with."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{asked}: unknown host {host!r} ({why})") from error
    except OSError as error:
        raise MachineError(f"{asked}: can't look up {host!r}: {error.strerror}") from error
    address = addresses[0][4]
    scope = address[3] if len(address) == 4 else 0
    return str(address[0]).split("%")[0], port, scope


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of a listen address; port 0 is any free one. Raises UsageError."""
    host, port = split(text, "`listen`")
    if port > 65535:
        raise UsageError(f"`listen` {text!r}: port {port} can't be; it can be 1 to 65535, or 0 for any free one")
    return host, port
