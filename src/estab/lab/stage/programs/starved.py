"""A server whose accepting thread shares one interpreter lock with threads that burn the CPU.

Started as `python starved.py HOST PORT BACKLOG BURNERS`.
"""

from __future__ import annotations

import hashlib
import socket
import sys
import threading

DIGESTS = 3  # threads that do without the lock, for one that takes it
_all_started = threading.Event()


def burn() -> None:
    """Takes the CPU, and the interpreter lock, as long as the interpreter lets it."""
    _all_started.wait()
    number = 0
    while True:
        number = (number * 1103515245 + 12345) % 2147483648


def digest() -> None:
    """Takes the CPU without the lock, as compression does: so the server keeps its share on a busy machine too."""
    _all_started.wait()
    while True:
        hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1_000_000)


def main() -> None:
    """Listens, burns, and accepts when it gets its turn."""
    host, port, backlog, burners = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    listener = socket.create_server((host, port), backlog=backlog)
    for number in range(burners):
        for work in [digest] * DIGESTS if number % 2 else [burn]:
            threading.Thread(target=work, daemon=True).start()
    _all_started.set()  # not before: whoever starts a thread beside these waits for the lock each time
    kept = []
    while True:
        kept.append(listener.accept()[0])


if __name__ == "__main__":
    main()
