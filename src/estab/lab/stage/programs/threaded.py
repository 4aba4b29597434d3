"""An echo server with a thread for each connection, which closes what it can start no thread for.

Started as `python threaded.py HOST PORT BACKLOG TASKS`: it may have TASKS threads with its first one (RLIMIT_NPROC).
That limit is of a user in a user namespace, and does not hold for root: so it makes itself a user of its own.
"""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import sys
import threading
from _thread import start_new_thread

_CLONE_NEWUSER = 0x10000000  # include/uapi/linux/sched.h
_FIRST_OF_ITS_OWN = 1 << 24  # user ids from here on belong to nobody
_STACK_BYTES = 1 << 18


def become_a_user_of_its_own() -> None:
    """As root a user that nobody else is; else the same user in a user namespace of its own. Raises OSError."""
    user = _FIRST_OF_ITS_OWN + int.from_bytes(os.urandom(3), "big")
    try:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    except OSError:  # not allowed, or no such id in this user namespace
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWUSER) != 0:
            raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER) failed") from None


def serve_one(connection: socket.socket) -> None:
    """Sends back what comes, to the end."""
    with connection:
        try:
            while data := connection.recv(65536):
                connection.sendall(data)
        except OSError:
            return


def main() -> None:
    """Listens, and serves until it is killed."""
    host, port, backlog, tasks = sys.argv[1:5]
    with socket.create_server((host, int(port)), backlog=int(backlog)) as listener:
        become_a_user_of_its_own()
        resource.setrlimit(resource.RLIMIT_NPROC, (int(tasks), int(tasks)))
        threading.stack_size(_STACK_BYTES)
        while True:
            connection, _address = listener.accept()
            try:
                start_new_thread(serve_one, (connection,))
            except RuntimeError:
                connection.close()


if __name__ == "__main__":
    main()
