"""Many open sockets, and what it costs to count them and to watch beside them."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

from benchmarks.space import MeasureError
from benchmarks.timing import seconds

PORT = 8001
REPEATS = 9
READY_WITHIN_S = 60.0


@contextlib.contextmanager
def connections(count: int) -> Iterator[None]:
    """`count` connections to 127.0.0.1:8001 while the block lasts, each end of them in a process of its own."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    with socket.create_server(("127.0.0.1", PORT), backlog=1024) as server, contextlib.ExitStack() as ends:
        for hold in (lambda: [server.accept() for _ in range(count)], lambda: [_connect() for _ in range(count)]):
            ends.enter_context(_held(hold))
        deadline = time.monotonic() + READY_WITHIN_S
        while open_sockets() < 2 * count:
            if time.monotonic() > deadline:
                raise MeasureError(f"{count} connections were not open within {READY_WITHIN_S:g} s")
            time.sleep(0.01)
        yield


def _connect() -> socket.socket:
    return socket.create_connection(("127.0.0.1", PORT))


def open_sockets() -> int:
    """ESTABLISHED ones, by /proc/net/snmp: both ends."""
    with open("/proc/thread-self/net/snmp", encoding="ascii") as file:
        names, values = (line.split() for line in file if line.startswith("Tcp:"))
    return int(values[names.index("CurrEstab")])


@contextlib.contextmanager
def _held(hold: Callable[[], object]) -> Iterator[None]:
    pid = os.fork()
    if pid == 0:
        kept = hold()  # noqa: F841
        signal.pause()
        os._exit(0)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _least(work: Callable[[], object]) -> float:
    """The least of several times, in seconds: what else runs here can only add to it."""
    return min(seconds(work) for _ in range(REPEATS))


def own_census(_seconds: int, notes: list[str], count: int) -> dict[str, float]:
    """A census of all sockets, in this process."""
    from estab.observe.sock_diag import SockDiag

    with connections(count), SockDiag() as diag:
        notes.append(f"{diag.census().sockets:,} sockets counted by state, port and peer")
        return {"seconds": _least(diag.census)}


def ss(_seconds: int, count: int) -> dict[str, float]:
    """`ss -tan` with its output read, as whoever counts by it must."""
    with connections(count):
        return {"seconds": _least(lambda: subprocess.run(["ss", "-tan"], check=True, capture_output=True))}


def own_steady_watch(seconds: int, _notes: list[str], count: int) -> dict[str, float]:
    """Ten samples a second beside so many connections: the share of one core, in steady state."""
    from estab.observe.watch import Watch

    with connections(count), contextlib.closing(Watch("127.0.0.1", PORT)) as watch:
        watch.start()
        began, cpu = time.monotonic(), time.process_time()
        ends = began + max(seconds, 30)  # long enough for the closer looks, which are seldom
        while time.monotonic() < ends:
            watch.sample()
            time.sleep(0.1)
        return {"fraction": (time.process_time() - cpu) / (time.monotonic() - began)}
