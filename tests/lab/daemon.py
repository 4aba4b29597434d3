"""A server that makes a daemon of itself: `python daemon.py HOST PORT BACKLOG`. Two forks, a session of its own."""

from __future__ import annotations

import os
import signal
import socket
import sys


def main() -> None:
    host, port, backlog = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with socket.create_server((host, port), backlog=backlog):
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
