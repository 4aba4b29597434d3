"""Namespaces, processes and waiting for listeners: what both programs of a pair are run with.

Every process that is started here is ended here, by its handle.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFADDR, _IFF_UP = 0x8913, 0x8914, 0x8916, 0x1
LISTENING_WITHIN_S = 10.0


class MeasureError(RuntimeError):
    """A figure could not be had. The message says why."""


# -- namespaces -------------------------------------------------------------------------------------------------------


def enter(kind: str) -> None:
    """Moves this process into a fresh network namespace with lo up. `user`: in a user namespace; `none`: stays.

    Raises MeasureError where the kernel refuses.
    """
    if kind == "none":
        return
    flags = _CLONE_NEWNET | (_CLONE_NEWUSER if kind == "user" else 0)
    uid, gid = os.getuid(), os.getgid()
    if ctypes.CDLL(None, use_errno=True).unshare(flags) != 0:
        raise MeasureError(f"unshare as uid {uid}: {os.strerror(ctypes.get_errno())}")
    if kind == "user":
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            _write(f"/proc/self/{name}", text)
    _loopback_up()


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        answer = fcntl.ioctl(handle, _SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        flags = struct.unpack("16sh14x", answer)[1] | _IFF_UP
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags))
        # A second address: netperf asks getaddrinfo() with AI_ADDRCONFIG, for which 127.0.0.1 is none.
        address = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton("192.0.2.1"))
        fcntl.ioctl(handle, _SIOCSIFADDR, struct.pack("16s16s8x", b"lo:1", address))


def set_port_range(text: str, kind: str) -> None:
    """Sets ip_local_port_range, in a namespace of our own only."""
    if kind == "none":
        raise MeasureError("the port range is changed only in a namespace of our own, and none can be made here")
    _write("/proc/sys/net/ipv4/ip_local_port_range", text)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


# -- processes --------------------------------------------------------------------------------------------------------


class Server:
    """A peer's server that was started here. `output` holds what it said."""

    def __init__(self, process: subprocess.Popen[bytes], output: IO[bytes]) -> None:
        self.process, self._output = process, output

    def said(self) -> str:
        """Its last line."""
        self._output.seek(0)
        lines = self._output.read().decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")

    def wait_listening(self, ports: Sequence[int]) -> None:
        """Waits until all `ports` are listened on. Raises MeasureError where it died, or did not within 10 s."""
        deadline = time.monotonic() + LISTENING_WITHIN_S
        while not set(ports) <= listening_ports():
            if self.process.poll() is not None:
                raise MeasureError(f"the peer's server ended with {self.process.returncode}; it said: {self.said()}")
            if time.monotonic() > deadline:
                raise MeasureError(f"the peer's server does not listen on {list(ports)} after {LISTENING_WITHIN_S:g} s")
            time.sleep(0.005)


@contextlib.contextmanager
def server(command: Sequence[str], ports: Sequence[int], env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Runs a server that listens on `ports`, while the block lasts."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
        )
        try:
            running = Server(process, output)
            running.wait_listening(ports)
            yield running
        finally:
            process.kill()
            process.wait()


def finished(
    command: Sequence[str], within_s: float, accept: Callable[[int], bool] = lambda status: status == 0
) -> str:
    """Runs a program to its end. Its standard output, then its standard error. Raises MeasureError."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=within_s,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise MeasureError(f"{command[0]} did not end within {within_s:g} s and was killed") from error
    if not accept(done.returncode):
        last = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise MeasureError(f"{command[0]} ended with {done.returncode}; it said: {last}")
    return done.stdout + done.stderr


# -- ports ------------------------------------------------------------------------------------------------------------


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing uses now."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            found.append(int(probe.getsockname()[1]))
        return found


def listening_ports() -> set[int]:
    """Ports that are listened on in this namespace, read and not connected to: neper counts every visitor."""
    found = set()
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/thread-self/net/{name}", encoding="ascii") as table:
            next(table)
            rows = [line.split() for line in table]
            found |= {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"}
    return found
