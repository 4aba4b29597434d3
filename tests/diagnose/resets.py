"""What clients and servers show where a full queue resets connections or drops SYNs."""

from __future__ import annotations

from tests.diagnose import runs

from estab.records import ErrorOrder, Failure, ServerSide

FIN_FIRST = [ErrorOrder(order=["EPIPE", "EPIPE", "eof"], count=9)]


def mixed(resets: int, timeouts: int) -> list[Failure]:
    return [runs.failure("write", "ECONNRESET", resets), runs.failure("connect", "own_timeout", timeouts)]


def server(cookies: int | None = 0, drops: int | None = 900, **counters: int) -> ServerSide:
    sysctls = {"net.ipv4.tcp_syncookies": None if cookies is None else [cookies]}
    return runs.local(runs.watch(drops=drops), deltas=runs.deltas(**counters), before=runs.snapshot(sysctls=sysctls))
