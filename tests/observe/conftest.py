"""A test marked `namespace` here runs in a thread of its own with a fresh network namespace, which dies with it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable

import pytest

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def _enter_fresh_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))


def _run(body: Callable[[], object]) -> None:
    raised: list[BaseException] = []
    refused: list[OSError] = []

    def thread() -> None:
        try:
            _enter_fresh_namespace()
        except OSError as error:
            refused.append(error)
            return
        try:
            body()
        except BaseException as error:
            raised.append(error)

    runner = threading.Thread(target=thread)
    runner.start()
    runner.join()
    if refused:
        pytest.skip(f"network namespaces are not permitted here: {refused[0]}")
    if raised:
        raise raised[0]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if pyfuncitem.get_closest_marker("namespace") is None:
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    _run(lambda: pyfuncitem.obj(**arguments))
    return True


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Polls a condition until it holds; fails after twenty seconds."""

    def wait(condition: Callable[[], object]) -> None:
        pause = threading.Event()
        for _ in range(4000):
            if condition():
                return
            pause.wait(0.005)
        pytest.fail(f"did not hold within 20 s: {condition()!r}")

    return wait
