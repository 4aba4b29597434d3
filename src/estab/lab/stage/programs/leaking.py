"""An echo server that may forget to close what its clients closed.

Started as `python leaking.py HOST PORT BACKLOG LEAKS`; LEAKS 0 closes each as it should.
"""

from __future__ import annotations

import selectors
import socket
import sys


def main() -> None:
    """Listens, and serves until it is killed. Without a spare descriptor it leaves what comes in the queue."""
    host, port, backlog, leaks = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(backlog)
    forgotten: list[socket.socket] = []
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                ready = key.fileobj
                assert isinstance(ready, socket.socket)
                if ready is listener:
                    if not accept(listener, selector):
                        selector.unregister(listener)
                elif not echo(ready):
                    selector.unregister(ready)
                    if leaks:
                        forgotten.append(ready)
                    else:
                        ready.close()


def accept(listener: socket.socket, selector: selectors.BaseSelector) -> bool:
    """Whether there was a descriptor for the next connection."""
    try:
        connection, _ = listener.accept()
    except OSError:
        return False
    selector.register(connection, selectors.EVENT_READ)
    return True


def echo(connection: socket.socket) -> bool:
    """Sends back what came. Whether the client goes on."""
    try:
        data = connection.recv(65536)
        connection.sendall(data)
    except OSError:
        return False
    return bool(data)


if __name__ == "__main__":
    main()
