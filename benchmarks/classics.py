"""Peers of another shape: netperf and sockperf (a process a connection, each waiting in recv()), and tcpkali."""

from __future__ import annotations

import contextlib
import subprocess
import time

from benchmarks import parse
from benchmarks.peers import GRACE_S, HOLD_WITHIN_S, Figures, timed_lines
from benchmarks.space import MeasureError, free_ports, server


def netperf(seconds: int, test: str, size: int, connections: int = 1) -> Figures:
    """TCP_RR or TCP_CRR, `size` bytes each way: one process a connection, their rates added up."""
    (port,) = free_ports(1)
    command = [
        *("netperf", "-4", "-H", "127.0.0.1", "-p", str(port), "-t", test, "-l", str(seconds), "-P", "0", "-v", "0"),
        *("--", "-r", f"{size},{size}"),
    ]
    with server(["netserver", "-D", "-4", "-L", "127.0.0.1", "-p", str(port)], [port]):
        return {"rate": sum(parse.netperf_rate(text) for text in _together([command] * connections, seconds))}


def _together(commands: list[list[str]], seconds: int) -> list[str]:
    """What programs print that run side by side."""
    with contextlib.ExitStack() as stack:
        running = []
        for command in commands:
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(process.kill)
            running.append(process)
        deadline = time.monotonic() + seconds + GRACE_S
        try:
            said = [process.communicate(timeout=max(0.1, deadline - time.monotonic()))[0] for process in running]
        except subprocess.TimeoutExpired as error:
            raise MeasureError(f"{commands[0][0]} did not end within {seconds + GRACE_S:g} s and was killed") from error
        for process in running:
            if process.returncode:
                raise MeasureError(f"{commands[0][0]} ended with {process.returncode}")
    return said


def sockperf(seconds: int, size: int) -> Figures:
    """Ping-pong over one TCP connection."""
    (port,) = free_ports(1)
    where = ["--tcp", "-i", "127.0.0.1", "-p", str(port)]
    with server(["sockperf", "server", *where], [port]):
        said = _together([["sockperf", "ping-pong", *where, "-m", str(size), "-t", str(seconds)]], seconds)
    return {"rate": parse.sockperf_rate(said[0])}


def tcpkali_hold(_seconds: int, connections: int) -> Figures:
    """How long tcpkali takes to open so many connections to another tcpkali. It never closes them one by one."""
    (port,) = free_ports(1)
    client = [
        *("stdbuf", "-oL", "-eL", "tcpkali", "-c", str(connections), "--connect-rate", "1000000"),
        *("--connect-timeout", "10", "-T", "60", f"127.0.0.1:{port}"),
    ]
    with server(["tcpkali", "-l", str(port), "-T", str(HOLD_WITHIN_S)], [port]):
        return {"seconds": parse.tcpkali_seconds(timed_lines(client, "Ramped up"), connections)}
