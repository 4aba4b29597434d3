"""Clients that write to a server which accepts nobody: what stands in the Recv-Q of each connection."""

from __future__ import annotations

import contextlib
import socket

from estab.lab.stage.hosts import PORT
from estab.lab.stage.runner import Runner

_WITHIN_S = 5.0


def unread(runner: Runner, *, backlog: int, connections: int, written: bytes) -> list[int]:
    """The bytes that sock_diag shows as unread at the server, by connection, once all are acknowledged."""
    with runner.stage() as stage, contextlib.ExitStack() as kept:
        stage.serve(backlog=backlog, kind="stall")
        with stage.client.entered():
            for _ in range(connections):
                client = kept.enter_context(socket.create_connection((stage.host, PORT), timeout=_WITHIN_S))
                client.sendall(written)
        stage.quiet()
        return [connection.rqueue for connection in stage.server_connections()]
