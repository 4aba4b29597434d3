"""A server whose accepting thread shares one interpreter lock with threads that burn the CPU.

Each connection costs that thread some Python, as it does in real servers: more than it gets done in its turns. With
accept() alone, one turn would empty the queue however long it is, and a bigger backlog would mend it.

Started as `python starved.py HOST PORT BACKLOG BURNERS`.
"""

from __future__ import annotations

import hashlib
import socket
import sys
import threading

TAKE_LOCK = 4  # one in so many burners takes the lock
DIGESTS = 2  # threads in place of each other burner
ROUNDS = 20_000  # of work with the lock: some 2 ms, and the interpreter passes it on after 5
_all_started = threading.Event()


def work() -> None:
    """Takes the CPU for some milliseconds, with the interpreter lock as long as the interpreter lets it."""
    number = 0
    for _ in range(ROUNDS):
        number = (number * 1103515245 + 12345) % 2147483648


def burn() -> None:
    """Works all the time."""
    _all_started.wait()
    while True:
        work()


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
        for target in [digest] * DIGESTS if number % TAKE_LOCK else [burn]:
            threading.Thread(target=target, daemon=True).start()
    _all_started.set()  # not before: whoever starts a thread beside these waits for the lock each time
    kept = []
    while True:
        kept.append(listener.accept()[0])
        work()


if __name__ == "__main__":
    main()
