"""Peers that keep many connections: neper and the Go programs, each serving and loading its own end on loopback."""

from __future__ import annotations

import subprocess
import threading
import time

from benchmarks import parse
from benchmarks.space import MeasureError, finished, free_ports, server

GRACE_S = 20.0
HOLD_WITHIN_S = 120.0
CONNECTIONS = 100
BACKLOG = 4096
FLOOD_BYTES = 1400
Figures = dict[str, float]


def neper(seconds: int, program: str, size: int, time_wait: int = 0, connections: int = CONNECTIONS) -> Figures:
    """tcp_rr or tcp_crr: so many flows, `size` bytes each way. The rate is the client's count.

    Its server's backlog of 128 would drop the SYNs of thousands of flows: it gets the one that estab asks for.
    """
    client = ["-F", str(connections), *(["--time-wait"] if time_wait else [])]
    return {"rate": parse.neper_rate(_neper(seconds, program, ["-Q", str(size), "-R", str(size)], client))}


def neper_stream(seconds: int) -> Figures:
    """tcp_stream both ways at once: MB a second that the client read. Nothing is an echo, nothing is verified."""
    said = _neper(seconds, "tcp_stream", ["-r", "-w"], ["-F", str(CONNECTIONS)])
    return {"megabytes": parse.neper_rate(said) / 8}  # it counts megabits


def _neper(seconds: int, program: str, both: list[str], client: list[str]) -> str:
    control, data = free_ports(2)
    common = [
        *(program, "--nolog", "-H", "127.0.0.1", "-C", str(control), "-P", str(data)),
        *("--listen-backlog", str(BACKLOG), "-l", str(seconds), *both),
    ]
    with server(common, [control, data]):
        return finished([*common, "-c", *client], seconds + GRACE_S)


def go_flood(seconds: int) -> Figures:
    """The Go pair that benches. It can hang where a connection breaks, hence the bound."""
    (port,) = free_ports(1)
    client = ["report000-bench", "-c", str(CONNECTIONS), "-p", str(port), "-l", str(seconds), "-s", str(FLOOD_BYTES)]
    with server(["report000-server", f"127.0.0.1:{port}"], [port], {"QUIET": "1"}):
        return {"rate": parse.go_flood_rate(finished([*client, "127.0.0.1"], seconds + GRACE_S))}


def go_hold(_seconds: int, connections: int) -> Figures:
    """The Go pair that holds, with the 100 goroutines that its user gave it."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    with server(["report001-server", address], [port]):
        lines = timed_lines(["report001-client", str(connections), "100", address])
    return {"seconds": parse.go_hold_seconds(lines, connections)}


def timed_lines(command: list[str], last: str | None = None) -> list[tuple[float, str]]:
    """The lines that a program says, each with the moment at which it was read, to its end or to a line with `last`.

    Raises MeasureError where it ends otherwise than well.
    """
    lines: list[tuple[float, str]] = []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        late = threading.Timer(HOLD_WITHIN_S, process.kill)
        late.start()
        try:
            for line in process.stdout:
                lines.append((time.monotonic(), line.strip()))
                if last and last in line:
                    return lines
            status = process.wait()
        finally:
            late.cancel()
            process.kill()
    if status != 0:
        said = lines[-1][1] if lines else "nothing"
        raise MeasureError(f"{command[0]} ended with {status} (-9: killed after {HOLD_WITHIN_S:g} s); it said: {said}")
    return lines
