"""The kernel's TCP counters of this thread's network namespace, from /proc/net."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Self

from estab.kernel.formats import proc_net

_NETSTAT, _SNMP, _SNMP6 = "netstat", "snmp", "snmp6"
_SOCKSTATS = ("sockstat", "sockstat6")
# A buffer of more is given new pages at each read, which costs as much as the kernel's part of it.
_READ_BYTES, _MOST_BYTES = 16 * 1024, 256 * 1024


class NetFile:
    """One file of /proc/net, held open, so that reading it again costs one system call. A context manager.

    It stays with the network namespace that the thread was in when it was opened. Raises OSError where it is missing.
    """

    def __init__(self, name: str) -> None:
        # /proc/net is that of the process's first thread; this thread may be in another namespace.
        self._fd = os.open(f"/proc/thread-self/net/{name}", os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> bytes:
        """The file as it is now: the kernel writes it anew at each read from its start."""
        data = os.pread(self._fd, _READ_BYTES, 0)
        return data if len(data) < _READ_BYTES else os.pread(self._fd, _MOST_BYTES, 0)

    def close(self) -> None:
        """Give the descriptor back. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class CounterFiles:
    """/proc/net/netstat and /proc/net/snmp, held open. A context manager; raises OSError where one is missing."""

    def __init__(self) -> None:
        self._files: list[NetFile] = []
        try:
            self._files += [NetFile(_NETSTAT), NetFile(_SNMP)]
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> dict[str, int]:
        """The counters now, as `prefix.Name` to value. Raises OSError, ParseError."""
        netstat, snmp = (proc_net.parse_counters(file.read()) for file in self._files)
        return netstat | snmp

    def some(self, wanted: frozenset[str]) -> dict[str, int]:
        """Those of `read` that are `wanted`, for who asks for a few again and again. Raises OSError, ParseError."""
        netstat, snmp = (proc_net.pick_counters(file.read(), wanted) for file in self._files)
        return netstat | snmp

    def texts(self) -> tuple[bytes, ...]:
        """Both files as they are now, for who asks what stands in them later, if ever. Raises OSError."""
        return tuple(file.read() for file in self._files)

    def close(self) -> None:
        """Give the descriptors back. May be called twice."""
        for file in self._files:
            file.close()


def read_counters() -> dict[str, int]:
    """/proc/net/netstat, snmp, and snmp6 where IPv6 is, as `prefix.Name` to value. Raises OSError, ParseError."""
    with CounterFiles() as files:
        totals = files.read()
    with suppress(FileNotFoundError), NetFile(_SNMP6) as file:
        totals.update(proc_net.parse_snmp6(file.read()))
    return totals


def read_sockstat() -> dict[str, int]:
    """/proc/net/sockstat, and sockstat6 where IPv6 is, as `prefix.name` to value. Raises OSError, ParseError."""
    sockets: dict[str, int] = {}
    for name in _SOCKSTATS:
        try:
            with NetFile(name) as file:
                sockets.update(proc_net.parse_sockstat(file.read()))
        except FileNotFoundError:
            if name == _SOCKSTATS[0]:
                raise
    return sockets
