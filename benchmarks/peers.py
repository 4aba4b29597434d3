"""The peers, each serving and loading its own end on loopback."""

from __future__ import annotations

import subprocess
import threading
import time

from benchmarks import parse
from benchmarks.space import MeasureError, finished, free_ports, server

GRACE_S = 20.0
HOLD_WITHIN_S = 120.0
CONNECTIONS = 100
FLOOD_BYTES = 1400
Figures = dict[str, float]


def neper(seconds: int, program: str, size: int, time_wait: int = 0) -> Figures:
    """tcp_rr or tcp_crr: 100 flows, `size` bytes each way. The rate is the client's count."""
    control, data = free_ports(2)
    common = [
        *(program, "--nolog", "-H", "127.0.0.1", "-C", str(control), "-P", str(data)),
        *("-Q", str(size), "-R", str(size), "-l", str(seconds)),
    ]
    client = [*common, "-c", "-F", str(CONNECTIONS), *(["--time-wait"] if time_wait else [])]
    with server(common, [control, data]):
        return {"rate": parse.neper_rate(finished(client, seconds + GRACE_S))}


def go_flood(seconds: int) -> Figures:
    """Report 000's pair. Its bench can hang where a connection breaks, hence the bound."""
    (port,) = free_ports(1)
    client = ["report000-bench", "-c", str(CONNECTIONS), "-p", str(port), "-l", str(seconds), "-s", str(FLOOD_BYTES)]
    with server(["report000-server", f"127.0.0.1:{port}"], [port], {"QUIET": "1"}):
        return {"rate": parse.go_flood_rate(finished([*client, "127.0.0.1"], seconds + GRACE_S))}


def go_hold(_seconds: int, connections: int) -> Figures:
    """Report 001's pair, with the 100 goroutines of the report."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    with server(["report001-server", address], [port]):
        lines = _timed_lines(["report001-client", str(connections), "100", address])
    return {"seconds": parse.go_hold_seconds(lines, connections)}


def _timed_lines(command: list[str]) -> list[tuple[float, str]]:
    """The lines of a program's standard output, each with the moment at which it was read."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        late = threading.Timer(HOLD_WITHIN_S, process.kill)
        late.start()
        try:
            lines = [(time.monotonic(), line.rstrip("\n")) for line in process.stdout]
            status = process.wait()
        finally:
            late.cancel()
            process.kill()
    if status != 0:
        last = lines[-1][1] if lines else "nothing"
        raise MeasureError(
            f"{command[0]} ended with {status} (killed after {HOLD_WITHIN_S:g} s if -9); it said: {last}"
        )
    return lines
