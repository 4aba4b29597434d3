"""Servers of our own: listening sockets made here, handed to worker processes that serve on them."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from estab.errors import MachineError, UsageError
from estab.kernel.formats.endpoint import UNIX, endpoint, is_unix
from estab.load.addresses import socket_address
from estab.load.fleet import Fleet
from estab.load.plan import MOST_PROCESSES, NS_PER_S, Address, check_range

SERVICES = ("echo", "sink", "stall")
NEVER = (1 << 64) - 1
_NEXT_UNIX = {
    errno.EADDRINUSE: "remove it where nothing listens there (`ss -lx` shows what does), or choose another path",
    errno.ENOENT: "make its directory first",
    errno.EACCES: "choose a directory in which this user may create files",
}
_NEXT = {
    errno.EADDRINUSE: "end what holds it (`ss -ltnp` shows it), or choose another `port`",
    errno.EADDRNOTAVAIL: "make `host` an address of this host (`ip addr` lists them)",
    errno.EACCES: "ports below 1024 need root: choose a higher one",
}


@dataclass(frozen=True)
class Service:
    """What a server of ours does. `backlog` is what listen() is asked for; the kernel may grant less.

    `host` is where it listens; `unix:/path`, or `unix:@name`, is a UNIX socket, which has no port and no RST, and which
    several processes share.

    `accept_delay_s` is the least time from one accept to the next; `close_after_bytes` makes the server close first.
    `pause_s` each `pause_every_s` makes it answer nobody for a while, as a garbage collection would; 0: never.
    """

    kind: str
    host: str = "127.0.0.1"
    port: int = 0
    backlog: int = 4096
    accept_delay_s: float = 0.0
    processes: int = 1
    close_after_bytes: int | None = None
    reset: bool = False
    pause_s: float = 0.0
    pause_every_s: float = 0.0

    def settings(self) -> dict[str, str | float | None]:
        """What it does, as a run's `config` says it."""
        return {
            "service": self.kind,
            "accept_delay_s": self.accept_delay_s,
            "pause_s": self.pause_s or None,
            "pause_every_s": self.pause_every_s or None,
        }


def check(service: Service) -> None:
    """Raises UsageError for what cannot be."""
    if service.kind not in SERVICES:
        raise UsageError(f"`kind` is {service.kind!r}; it can be echo, sink or stall")
    if not 0 <= service.port <= 65535:
        raise UsageError(f"`port` is {service.port}, out of range (1 to 65535, or 0 for any free one)")
    if is_unix(service.host):
        _check_unix(service)
    check_range("backlog", service.backlog, 0, 2**31 - 1)
    check_range("processes", service.processes, 1, MOST_PROCESSES)
    check_range("accept_delay_s", service.accept_delay_s, 0, 3600)
    if service.close_after_bytes is not None:
        check_range("close_after_bytes", service.close_after_bytes, 0, NEVER - 1)
    if service.pause_s or service.pause_every_s:
        _check_pause(service)


def _check_unix(service: Service) -> None:
    if service.port:
        raise UsageError(f"`port` is {service.port}, and {service.host} is a UNIX socket, which has none: leave it out")
    if service.reset:
        raise UsageError(f"`reset` closes by RST, and {service.host} is a UNIX socket, which has none: leave it out")


def _check_pause(service: Service) -> None:
    if not 0 < service.pause_s < service.pause_every_s <= 3600:
        raise UsageError(
            f"`pause_s` {service.pause_s:g} with `pause_every_s` {service.pause_every_s:g} do not fit: a pause is "
            "shorter than the time from one to the next, which is at most 3,600 seconds; give both"
        )


def _listener(service: Service, family: int, address: Any) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if service.processes > 1 and family != socket.AF_UNIX:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.setblocking(False)
        listener.bind(address)
        listener.listen(service.backlog)
    except OSError as error:
        listener.close()
        is_local = family == socket.AF_UNIX
        where = service.host if is_local else endpoint(address[0], address[1])
        hint = (_NEXT_UNIX if is_local else _NEXT).get(error.errno or 0, "choose another `host`")
        raise MachineError(f"can't listen on {where}: {error.strerror}; {hint}") from error
    return listener


def _resolve(service: Service) -> tuple[int, Any]:
    if is_unix(service.host):
        return socket_address((service.host, 0, 0))
    try:
        addresses = socket.getaddrinfo(service.host, service.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise UsageError(f"can't listen on host {service.host!r}: {error.strerror}") from error
    return addresses[0][0], addresses[0][4]


def _open_listeners(service: Service) -> list[socket.socket]:
    family, address = _resolve(service)
    listeners = [_listener(service, family, address)]
    if family == socket.AF_UNIX:
        return listeners + [listeners[0].dup() for _ in range(service.processes - 1)]
    bound = listeners[0].getsockname()
    try:
        listeners += [_listener(service, family, bound) for _ in range(service.processes - 1)]
    except MachineError:
        listeners[0].close()
        raise
    return listeners


def _config(service: Service, listener: socket.socket) -> dict[str, Any]:
    return {
        "service": SERVICES.index(service.kind),
        "listener": listener.fileno(),
        "accept_gap_ns": int(service.accept_delay_s * NS_PER_S),
        "pause_ns": int(service.pause_s * NS_PER_S),
        "pause_every_ns": int(service.pause_every_s * NS_PER_S),
        "close_after": NEVER if service.close_after_bytes is None else service.close_after_bytes,
        "reset": service.reset,
    }


@contextlib.contextmanager
def serving(service: Service) -> Iterator[tuple[Fleet, Address]]:
    """Serves while the block lasts. Gives the fleet and where it listens: (numeric host, port, scope).

    The path of a UNIX socket is removed in the end. Raises UsageError and MachineError, the latter where the address
    can't be had.
    """
    check(service)
    listeners = _open_listeners(service)
    address = _address(service, listeners[0])
    with contextlib.ExitStack() as stack:
        stack.callback(_remove, address[0])
        for listener in listeners:
            stack.callback(listener.close)
        fleet = stack.enter_context(Fleet())
        fleet.start(
            "server",
            [_config(service, listener) for listener in listeners],
            [[listener.fileno()] for listener in listeners],
        )
        for listener in listeners:
            listener.close()  # ours would keep the queue open after the worker's death
        fleet.wait_serving()
        yield fleet, address


def _address(service: Service, listener: socket.socket) -> Address:
    if listener.family == socket.AF_UNIX:
        return service.host, 0, 0
    name = listener.getsockname()
    return name[0], name[1], name[3] if len(name) == 4 else 0


def _remove(host: str) -> None:
    """The file of a UNIX socket stays when the socket is closed, and the next bind() finds it taken."""
    if is_unix(host) and not host.startswith(f"{UNIX}@"):
        with contextlib.suppress(OSError):
            os.unlink(host.removeprefix(UNIX))
