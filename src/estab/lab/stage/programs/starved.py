"""A server whose accepting thread shares one lock with threads that burn the CPU, and waits for its turn each time.

Started as `python starved.py HOST PORT BACKLOG BURNERS`. The lock is one of its own, passed on by turns every 5 ms, as
the interpreter's is meant to be: that one is often taken again by who gave it up, and then one turn empties a queue of
any length.
"""

from __future__ import annotations

import hashlib
import socket
import sys
import threading
import time
from collections import deque

DIGESTS = 3  # threads that do without the lock, for one that takes it
TURN_S = 0.005
_all_started = threading.Event()


class FairLock:
    """A lock that goes to whoever has waited for it longest."""

    def __init__(self) -> None:
        self._held = False
        self._waiting: deque[threading.Lock] = deque()
        self._inner = threading.Lock()

    def __enter__(self) -> None:
        with self._inner:
            if not self._held:
                self._held = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()

    def __exit__(self, *_: object) -> None:
        with self._inner:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False


def burn(turns: FairLock) -> None:
    """Takes the CPU, and the lock, for a turn, and again."""
    _all_started.wait()
    while True:
        with turns:
            until_s = time.monotonic() + TURN_S
            while time.monotonic() < until_s:
                pass


def digest(_turns: FairLock) -> None:
    """Takes the CPU without the lock, as compression does: so the server keeps its share on a busy machine too."""
    _all_started.wait()
    while True:
        hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1_000_000)


def main() -> None:
    """Listens, burns, and accepts one connection a turn."""
    host, port, backlog, burners = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    listener = socket.create_server((host, port), backlog=backlog)
    turns = FairLock()
    for number in range(burners):
        for work in [digest] * DIGESTS if number % 2 else [burn]:
            threading.Thread(target=work, args=(turns,), daemon=True).start()
    _all_started.set()  # not before: whoever starts a thread beside these waits for the interpreter each time
    kept = []
    while True:
        accepted = listener.accept()[0]
        with turns:
            kept.append(accepted)


if __name__ == "__main__":
    main()
