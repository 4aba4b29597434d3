"""A process for each connection, as inetd did it; `--limit` children at most, and what is over that waits.

What the kernel gives it no process for it closes, or tries again and again (`--again`). It writes "EAGAIN" for each.
"""

import argparse
import os
import socket
import time

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=8080)
parser.add_argument("--backlog", type=int, default=128)
parser.add_argument("--limit", type=int, default=1000)
parser.add_argument("--again", action="store_true")
asked = parser.parse_args()


def forked() -> int | None:
    """As fork(); None where there is no process to be had."""
    while True:
        try:
            return os.fork()
        except BlockingIOError:
            print("EAGAIN", flush=True)
            if not asked.again:
                return None
            time.sleep(0.1)


listener = socket.create_server(("0.0.0.0", asked.port), backlog=asked.backlog)
print("ready", flush=True)
children = 0
while True:
    while children:
        pid, _status = os.waitpid(-1, 0 if children >= asked.limit else os.WNOHANG)
        if not pid:
            break
        children -= 1
    connection, _address = listener.accept()
    print("accepted", flush=True)
    child = forked()
    if child != 0:
        children += child is not None
        connection.close()
        continue
    listener.close()
    try:
        while data := connection.recv(65536):
            connection.sendall(data)
    except OSError:
        pass
    os._exit(0)
