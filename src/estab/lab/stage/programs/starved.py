"""A server whose accepting thread shares one interpreter lock with threads that burn the CPU.

Started as `python starved.py HOST PORT BACKLOG BURNERS`. However busy the machine is, it gets more than one core.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import socket
import sys
import threading
import time
from collections.abc import Callable

DIGESTS = 3  # threads that do without the lock, for one that takes it
MOST_DIGESTS = 128
_MEASURED_S = 0.2
_NICE = -5


def burn() -> None:
    """Takes the CPU, and the interpreter lock, as long as the interpreter lets it."""
    number = 0
    while True:
        number = (number * 1103515245 + 12345) % 2147483648


def digest() -> None:
    """Takes the CPU without the lock, as compression does."""
    while True:
        hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1_000_000)


def share() -> float:
    """The share of a core that one busy thread gets on this machine now."""
    began, used = time.monotonic(), time.thread_time()
    while time.monotonic() - began < _MEASURED_S:
        pass
    return max(0.001, (time.thread_time() - used) / (time.monotonic() - began))


def wanted_threads() -> int:
    """How many threads together get more than one core: a scheduler shares the cores by thread."""
    cores = len(os.sched_getaffinity(0))
    others = cores / share() - 1  # busy threads beside this one
    wanted_cores = min(1.1, 0.95 * cores)
    return math.ceil(wanted_cores * others / (cores - wanted_cores))


def ask_for_more() -> None:
    """A bigger share than others have, where the kernel allows that (root): by process, and by session (sched(7))."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w", encoding="ascii") as group:
        group.write(str(_NICE))


def start(work: Callable[[], None], threads: int) -> None:
    """So many threads that do it until the process ends."""
    for _ in range(threads):
        threading.Thread(target=work, daemon=True).start()


def main() -> None:
    """Listens, burns, and accepts when it gets its turn."""
    host, port, backlog, burners = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    if burners:
        ask_for_more()
        start(digest, min(MOST_DIGESTS, max(burners // 2 * DIGESTS, wanted_threads())))
    listener = socket.create_server((host, port), backlog=backlog)
    start(burn, burners - burners // 2)
    kept = []
    while True:
        kept.append(listener.accept()[0])


if __name__ == "__main__":
    main()
