"""TARGET as people type it, to a numeric address: `HOST:PORT`, `[v6]:PORT`, `:PORT`, a port alone, a URL, or the path
of a UNIX socket as `unix:/path`.

A port without a host is this host: 127.0.0.1 for who connects, every address for who listens. Who is asked for a page
takes the path of a URL as well; for all others host and port alone count.
"""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from typing import Literal

from estab.errors import MachineError, UsageError
from estab.kernel.formats.endpoint import UNIX, endpoint, is_unix
from estab.load.plan import Address

_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[^/?#]*@)?(?P<address>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?",
    re.IGNORECASE,
)
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}  # RFC 9110, section 4.2; RFC 6455, section 3
_ENDS_IN_PORT = re.compile(r":[^\]]*$")
AddressFamily = Literal["any", "ipv4", "ipv6"]
_FAMILIES = {"any": socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
_IN_WORDS = {"any": "", "ipv4": "IPv4", "ipv6": "IPv6"}
EVERYWHERE, MOST_PORT = "0.0.0.0", 65535
_SUN_PATH_BYTES = 108  # unix(7); a path needs one for the NUL at its end, an abstract name for that before it


def split(text: str, what: str, here: str = "127.0.0.1") -> tuple[str, int]:
    """Host and port, any port; `here` is the host of what names none. `what` names it in a UsageError."""
    if is_unix(text):
        raise UsageError(f"{what} {text!r} is a UNIX socket, and HOST:PORT is asked for here")
    address = _of_url(text)
    if address.isascii() and address.isdigit():
        address = f":{address}"
    if address.startswith("["):
        host, bracket, port = address[1:].partition("]:")
        if not bracket:
            raise UsageError(f"{what} {text!r}: an IPv6 address is written [ADDRESS]:PORT, as [::1]:8080")
    else:
        host, colon, port = address.rpartition(":")
        if not colon:
            raise UsageError(f"{what} {text!r} has no port: give HOST:PORT, as 127.0.0.1:8080")
        if ":" in host:
            raise UsageError(f"{what} {text!r}: write an IPv6 address in brackets, as [{host}]:{port}")
        host = host or here
    if not host:
        raise UsageError(f"{what} {text!r} has no host: give HOST:PORT, as 127.0.0.1:8080")
    if not (port.isascii() and port.isdigit() and len(port) < 10):
        raise UsageError(f"{what} {text!r}: port {port!r} is not a number from 1 to 65535")
    return host, int(port)


@dataclass(frozen=True)
class Url:
    """The parts of a URL that count: `authority` is HOST or HOST:PORT, `path` has its query."""

    scheme: str
    authority: str
    path: str


def url(text: str) -> Url | None:
    """The parts of a URL; None for any other text."""
    match = _URL.fullmatch(text)
    if match is None:
        return None
    return Url(match["scheme"].lower(), match["address"], (match["path"] or "/") + (match["query"] or ""))


def _of_url(text: str) -> str:
    """HOST:PORT of a URL, with the scheme's own port where it names none; any other text as it is."""
    place = url(text)
    if place is None:
        return text
    port = _PORTS.get(place.scheme)
    if port is None or not place.authority or _ENDS_IN_PORT.search(place.authority):
        return place.authority
    return f"{place.authority}:{port}"


def authority(text: str) -> str:
    """The Host that a request of HTTP names (RFC 9110, section 7.2); of a UNIX socket, as curl has it, localhost.

    Raises UsageError as `parse` does.
    """
    if is_unix(text):
        return "localhost"
    host, port = parse(text)
    try:
        name = host.partition("%")[0].encode("idna").decode("ascii")
    except UnicodeError as error:
        raise UsageError(f"`target` {text!r}: unknown host {host!r} ({error})") from error
    return endpoint(name, port).removesuffix(":80")


def parse(text: str, parameter: str = "target") -> tuple[str, int]:
    """Host and port of a target. Raises UsageError with what is wrong, and with the parameter that it was given as."""
    host, port = split(text, f"`{parameter}`")
    if not 1 <= port <= MOST_PORT:
        raise UsageError(f"`{parameter}` {text!r}: port {port} is out of range (1 to 65535)")
    return host, port


def unix_socket(text: str, parameter: str = "target") -> str | None:
    """`unix:/path`, or `unix:@name` of an abstract one, also where it is written `unix:///path`; None: it is none.

    Raises UsageError for a name that can't be.
    """
    if not is_unix(text):
        return None
    name = text.removeprefix(UNIX)
    name = name.removeprefix("//") if name.startswith("///") else name
    if name in ("", "@"):
        raise UsageError(f"`{parameter}` {text!r} has no path: give unix:/path, or unix:@name of an abstract one")
    if "\0" in name or len(os.fsencode(name)) >= _SUN_PATH_BYTES:
        most = _SUN_PATH_BYTES - 1
        raise UsageError(f"`{parameter}` {text!r}: a UNIX socket's name has at most {most} bytes, and no NUL")
    return UNIX + name


def resolve_any(text: str, parameter: str = "target", family: AddressFamily = "any") -> Address:
    """As `resolve`, of a UNIX socket too: (`unix:/path`, 0, 0)."""
    return resolve_all(text, parameter, family)[0]


def resolve_all(text: str, parameter: str = "target", family: AddressFamily = "any") -> list[Address]:
    """Every address of a target, in the order in which the resolver gives them to programs (RFC 6724), as `resolve`."""
    address = unix_socket(text, parameter)
    if address is not None:
        return [(address, 0, 0)]
    return look_up_all(*parse(text, parameter), f"`{parameter}` {text!r}", family)


def resolve(text: str, parameter: str = "target", family: AddressFamily = "any") -> Address:
    """The first numeric address of a target: (host, port, IPv6 scope).

    Raises UsageError for an unknown host, and for one that has no address of that family.
    """
    return look_up_all(*parse(text, parameter), f"`{parameter}` {text!r}", family)[0]


def look_up(host: str, port: int, asked: str) -> Address:
    """As `resolve`, of a host and a port. `asked` is what an error begins with."""
    return look_up_all(host, port, asked)[0]


def look_up_all(host: str, port: int, asked: str, family: AddressFamily = "any") -> list[Address]:
    """All addresses of a host, each once. Raises as `resolve` does."""
    try:
        told = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{asked}: unknown host {host!r} ({why})") from error
    except OSError as error:
        raise MachineError(f"{asked}: can't look up {host!r}: {error.strerror}") from error
    wanted = _FAMILIES[family]
    addresses = [address for known, *_rest, address in told if wanted in (socket.AF_UNSPEC, known)]
    if not addresses:
        raise UsageError(f"{asked}: {host!r} has no {_IN_WORDS[family]} address; leave out `address_family`")
    return list(dict.fromkeys(_numeric(address, port) for address in addresses))


def _numeric(address: tuple[str | int, ...] | tuple[int, bytes], port: int) -> Address:
    scope = address[3] if len(address) == 4 else 0
    return str(address[0]).split("%")[0], port, int(scope)


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of a listen address; port 0 is any free one, and no host every address; (`unix:/path`, 0).

    Raises UsageError.
    """
    if (address := unix_socket(text, "listen")) is not None:
        return address, 0
    host, port = split(text, "`listen`", EVERYWHERE)
    if port > MOST_PORT:
        raise UsageError(f"`listen` {text!r}: port {port} is out of range (1 to 65535, or 0 for any free one)")
    return host, port
