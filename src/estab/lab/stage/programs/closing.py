"""An echo server in one thread that closes connections of its own accord, or never.

Started as `python closing.py HOST PORT BACKLOG WHY FIGURE`:
over N: what is accepted beyond N at once is closed. unread N: N bytes are read, whatever came, and then it closes.
no_backend 0: for each connection it connects to a port where nobody listens, and closes. idle S: what was silent for S
seconds is closed. dies S: S seconds after its first accept it is killed. never 0: it does not close what its clients
closed. after_client 0: it does, and nothing else. Without a spare descriptor it leaves what comes in the queue.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys
import time

_TICK_S = 0.02


class ClosingServer:
    """Accepts all that comes, sends back what it reads, and closes by its habit."""

    def __init__(self, listener: socket.socket, why: str, figure: float) -> None:
        self.listener, self.why, self.figure = listener, why, figure
        with socket.create_server(("127.0.0.1", 0)) as once:
            self.closed_port = once.getsockname()
        self.open: set[socket.socket] = set()
        self.due: dict[socket.socket, float] = {}  # when each will have been silent for too long
        self.ready = selectors.DefaultSelector()
        self.ready.register(listener, selectors.EVENT_READ)

    def serve(self) -> None:
        """Serves until it is killed."""
        while True:
            for key, _events in self.ready.select(_TICK_S if self.why in ("idle", "dies") else None):
                if key.fileobj is self.listener:
                    self.accept()
                elif isinstance(key.fileobj, socket.socket):
                    self.read(key.fileobj)
            self.end_what_is_due()

    def end_what_is_due(self) -> None:
        """Those that were silent for too long; or itself."""
        due = [connection for connection, at in self.due.items() if at <= time.monotonic()]
        if due and self.why == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        for connection in due:
            self.close(connection)

    def accept(self) -> None:
        """Takes one, which may be one too many."""
        try:
            connection, _address = self.listener.accept()
        except OSError:  # no descriptor is left
            self.ready.unregister(self.listener)
            return
        if self.why == "over" and len(self.open) >= self.figure:
            connection.close()
            return
        if self.why == "no_backend":
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(self.closed_port).close()
            connection.close()
            return
        self.open.add(connection)
        if self.why in ("idle", "dies"):
            self.due[connection] = time.monotonic() + self.figure
        self.ready.register(connection, selectors.EVENT_READ)

    def read(self, connection: socket.socket) -> None:
        """Sends back what came; closes at its end, or leaves it open for good."""
        if self.why == "unread":
            connection.recv(round(self.figure))
            self.close(connection)
            return
        try:
            data = connection.recv(65536)
            connection.sendall(data)
        except OSError:
            data = b""
        if not data and self.why == "never":
            self.ready.unregister(connection)
        elif not data:
            self.close(connection)
        elif self.why == "idle":
            self.due[connection] = time.monotonic() + self.figure

    def close(self, connection: socket.socket) -> None:
        """Closes one."""
        self.open.remove(connection)
        self.due.pop(connection, None)
        self.ready.unregister(connection)
        connection.close()


def main() -> None:
    """Listens, and serves until it is killed."""
    host, port, backlog, why, figure = sys.argv[1:6]
    with socket.create_server((host, int(port)), backlog=int(backlog)) as listener:
        ClosingServer(listener, why, float(figure)).serve()


if __name__ == "__main__":
    main()
