"""Runs whose connects found no local port."""

from __future__ import annotations

from tests.diagnose import runs

from estab.records import RunResult

NONE_FREE = [runs.failure("connect", "EADDRNOTAVAIL", 90)]


def with_ports(connections: int | None = 500, failures: object = NONE_FREE, **use: object) -> RunResult:
    values = {"used": 100, "worst_source_used": 100, "capacity": 100, **use}
    return runs.run(config={"connections": connections}, failures=failures, client={"port_use": runs.ports(**values)})


# (the run, what ephemeral_port_exhaustion says, what time_wait_port_exhaustion says)
HELD: list[tuple[RunResult, str, str]] = [
    (with_ports(failures=[]), "ruled_out", "ruled_out"),
    (with_ports(time_wait=0), "confirmed", "ruled_out"),
    (with_ports(time_wait=49), "confirmed", "ruled_out"),
    (with_ports(time_wait=50), "ruled_out", "confirmed"),
    (with_ports(time_wait=100), "ruled_out", "confirmed"),
    # What was asked for would have fitted: the few in TIME_WAIT are to blame.
    (with_ports(connections=100, time_wait=1), "ruled_out", "confirmed"),
    (with_ports(connections=101, time_wait=1), "confirmed", "ruled_out"),
    # The range was not seen full.
    (with_ports(worst_source_used=90), "confirmed", "ruled_out"),
    (with_ports(worst_source_used=89, used=89), "possible", "ruled_out"),
    (with_ports(worst_source_used=89, used=89, time_wait=80), "possible", "possible"),
    (with_ports(worst_source_used=89, used=89, bound=11), "confirmed", "ruled_out"),
    # Several source addresses: the fullest counts.
    (with_ports(sources=4, used=250, worst_source_used=100), "confirmed", "ruled_out"),
    (with_ports(sources=4, used=250, worst_source_used=None), "possible", "ruled_out"),
    # Not read.
    (with_ports(capacity=None), "possible", "ruled_out"),
    (with_ports(capacity=None, time_wait=90), "possible", "possible"),
    (runs.run(failures=NONE_FREE, client={"port_use": None}), "possible", "possible"),
    (with_ports(failures=[runs.failure("connect", "EADDRINUSE", 4)]), "confirmed", "ruled_out"),
    (with_ports(failures=[runs.failure("connect", "ETIMEDOUT", 4)]), "ruled_out", "ruled_out"),
]
