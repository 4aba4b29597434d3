"""A range of one port: connect and close, wait, connect again. What rule 22 says of it, and what the kernel does.

Each pattern has a namespace and a loopback of its own, so that all wait side by side.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from estab.kernel.rules import time_wait
from estab.lab.parts.running_kernel import HZ, KERNEL
from estab.lab.parts.scenario import FigureRow
from estab.lab.process import links
from estab.lab.process.child import Child
from estab.lab.process.namespace import LabNamespace, sysctl

_PORT, _SERVER = 40000, ("127.0.0.1", 5000)


@dataclass(frozen=True)
class Pattern:
    """`reuse`: net.ipv4.tcp_tw_reuse. `gap_s`: from the close to the next connect. `delay_ms`: tcp_tw_reuse_delay."""

    reuse: int
    gap_s: float
    delay_ms: int | None = None

    def __str__(self) -> str:
        delay = f", delay {self.delay_ms} ms" if self.delay_ms else ""
        return f"tcp_tw_reuse={self.reuse}{delay}: one port again after {self.gap_s} s"

    def free_again(self) -> bool | None:
        """Whether the second connect gets the port; None where this kernel makes it a matter of chance (rule 22)."""
        may = time_wait.reuses(self.reuse, loopback=True)
        wait = time_wait.reuse_after_s(KERNEL, self.delay_ms) if may else time_wait.lasts(HZ, KERNEL)
        return time_wait.port_free_again(self.gap_s, wait)


def patterns() -> list[Pattern]:
    """Each value of tcp_tw_reuse below and above a second; the delay where this kernel has it (6.14)."""
    ways = [Pattern(reuse, gap_s) for reuse in (0, 1, 2) for gap_s in (0.1, 1.3)]
    return ways + [Pattern(1, gap_s, 100) for gap_s in (0.05, 0.2) if KERNEL.at_least(6, 14)]


def rows() -> Iterator[FigureRow]:
    """All patterns, predicted and played."""
    trials = []
    for pattern in patterns():
        host = LabNamespace(str(pattern))
        trials.append((pattern, host, Child(_again(pattern), host)))
    for pattern, host, child in trials:
        free, measured = pattern.free_again(), child.result()
        host.close()
        if free is not None:
            yield FigureRow(str(pattern), free, measured)


def _again(pattern: Pattern) -> Callable[[object], bool]:
    def work(_connection: object) -> bool:
        links.set_up("lo")
        sysctl("net.ipv4.ip_local_port_range", f"{_PORT} {_PORT}")
        sysctl("net.ipv4.tcp_tw_reuse", pattern.reuse)
        if pattern.delay_ms is not None:
            sysctl("net.ipv4.tcp_tw_reuse_delay", pattern.delay_ms)
        with socket.create_server(_SERVER) as listener:
            first = _connects(listener)
            time.sleep(pattern.gap_s)
            return first and _connects(listener)

    return work


def _connects(listener: socket.socket) -> bool:
    """One connection from connect() to the server's last word. The client's FIN comes first: it keeps the TIME_WAIT."""
    with socket.socket() as client:
        if client.connect_ex(_SERVER):
            return False
        served, _ = listener.accept()
    with served:
        served.recv(1)
    return True
