"""The engine in Python, with its sockets and its epoll made to fail as faults.c makes the C engine's.

What lives here: classes that stand in for `socket.socket`, `select.epoll` and `select.select` in the process that runs
one case. Python itself makes the calls again that a signal interrupted (PEP 475), so EINTR is tried at connect alone.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Mapping
from typing import Any

from tests.engine.cases import Case

from estab.load import pyengine

# Calls of the C engine that this one makes not at all, or only within Python's own start of the same thing.
ELSEWHERE = (
    "epoll_pwait2", "poll", "read", "clock_nanosleep", "prctl", "malloc", "calloc", "realloc", "mmap",
    "fcntl", "sigaction", "timer_create", "timer_settime",
)  # fmt: skip


def applies(case: Case) -> bool:
    """Whether the Python engine makes this call, and Python lets its error through."""
    return case.call not in ELSEWHERE and (case.error != "EINTR" or case.call == "connect")


class _Fault:
    def __init__(self, call: str, code: int, first: int, every: int) -> None:
        self.call, self.code, self.first, self.every = call, code, first, every
        self.calls = self.failed = 0

    def is_due(self, call: str) -> bool:
        if call != self.call:
            return False
        self.calls += 1
        beyond = self.calls - self.first
        due = beyond == 0 or (beyond > 0 and self.every > 0 and beyond % self.every == 0)
        self.failed += due
        return due


_faults: dict[int, _Fault] = {}


def _code(call: str) -> int | None:
    """The errno with which this call fails; None: it does not."""
    for fault in _faults.values():
        if fault.is_due(call):
            return fault.code
    return None


def _check(call: str) -> None:
    if (code := _code(call)) is not None:
        raise OSError(code, os.strerror(code))


class _Socket(socket.socket):
    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
        if fileno is None:
            _check("socket")
        super().__init__(family, type, proto, fileno)

    def setsockopt(self, *args: Any) -> None:
        _check("setsockopt")
        super().setsockopt(*args)

    def getsockopt(self, *args: Any) -> Any:
        _check("getsockopt")
        return super().getsockopt(*args)

    def getsockname(self) -> Any:
        _check("getsockname")
        return super().getsockname()

    def getpeername(self) -> Any:
        _check("getpeername")
        return super().getpeername()

    def bind(self, address: Any, /) -> None:
        _check("bind")
        super().bind(address)

    def connect_ex(self, address: Any, /) -> int:
        code = _code("connect")
        if code is None or code == errno.EINTR:
            real = super().connect_ex(address)
            return real if code is None else code
        return code

    def send(self, data: Any, flags: int = 0, /) -> int:
        code = _code("send")
        if code:
            raise OSError(code, os.strerror(code))
        return super().send(data if code is None else data[:1], flags)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        code = _code("recv")
        if code:
            raise OSError(code, os.strerror(code))
        return super().recv(size if code is None else 1, flags)

    def accept(self) -> tuple[socket.socket, Any]:
        _check("accept4")
        fd, address = self._accept()  # type: ignore[attr-defined]
        return _Socket(self.family, self.type, self.proto, fileno=fd), address

    def close(self) -> None:
        code = _code("close") if self.fileno() >= 0 else None
        super().close()
        if code is not None:
            raise OSError(code, os.strerror(code))


class _Epoll:
    def __init__(self) -> None:
        _check("epoll_create1")
        self._real = _REAL_EPOLL()

    def register(self, fd: Any, events: int) -> None:
        _check("epoll_ctl")
        self._real.register(fd, events)

    def modify(self, fd: Any, events: int) -> None:
        _check("epoll_ctl")
        self._real.modify(fd, events)

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        _check("epoll_wait")
        return self._real.poll(timeout)

    def close(self) -> None:
        self._real.close()


_REAL_EPOLL = select.epoll


class FaultyPython:
    """The engine in Python. The stand-ins are put in place in the child process that a case runs in."""

    def _stand_in(self) -> None:
        socket.socket = _Socket  # type: ignore[misc]
        select.epoll = _Epoll  # type: ignore[misc,assignment]

    def run_client(self, block_fd: int, control_fd: int, config: Mapping[str, Any], /) -> None:
        self._stand_in()
        pyengine.run_client(block_fd, control_fd, config)

    def run_server(self, block_fd: int, control_fd: int, config: Mapping[str, Any], /) -> None:
        self._stand_in()
        pyengine.run_server(block_fd, control_fd, config)

    def choose(self, which: int, call: str, code: int, first: int, every: int) -> None:
        _faults[which] = _Fault(call, code, first, every)

    def seen(self) -> dict[str, int]:
        return {"failed": _faults[0].failed if _faults else 0}
