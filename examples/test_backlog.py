"""Does my server's backlog hold? A test of it, with the plugin that estab brings along.

    pytest examples/test_backlog.py

Cut `request_queue_size` to 5, the standard library's default, and it fails with the verdict and what to do.
"""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator

import pytest

from estab.pytest_plugin import Estab

CLIENTS = 400


class Echo(socketserver.BaseRequestHandler):
    """Sends back what it gets."""

    def handle(self) -> None:
        """One connection."""
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    """The server under test."""

    request_queue_size = 1024
    daemon_threads = True


@pytest.fixture
def server() -> Iterator[str]:
    """Its address, while it serves in a thread."""
    with Server(("127.0.0.1", 0), Echo) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()


def test_backlog_holds(estab: Estab, server: str) -> None:
    """So many clients at once, and not one is turned away or has to try again."""
    run = estab.hold(server, connections=CLIENTS)
    estab.assert_healthy(run)
    assert run.funnel.connected == CLIENTS
