"""One thread, one connection after another, as a first server is written: what it does not accept waits in the queue.

It writes a line for each connection that it accepted.
"""

import argparse
import socket
import struct
import time

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=8080)
parser.add_argument("--address", default="0.0.0.0")
parser.add_argument("--backlog", type=int, default=128)
parser.add_argument("--accept", type=int, default=-1, help="so many, then none any more")
parser.add_argument("--rate", type=float, default=0, help="accepts a second at most")
parser.add_argument("--burst-every", type=float, default=0, help="accept all that wait, then sleep so many seconds")
parser.add_argument("--work", type=float, default=0, help="seconds of sleep for each connection, before its answer")
parser.add_argument("--mute-after", type=float, default=0, help="accept no more after so many seconds")
parser.add_argument(
    "--do",
    choices=("keep", "close", "reset", "echo-one", "echo-all", "part", "greet"),
    default="keep",
    help="keep it open; close it unread; reset it; echo one request, or all, and close; read 10 bytes and close; speak",
)
asked = parser.parse_args()

family = socket.AF_INET6 if ":" in asked.address else socket.AF_INET
listener = socket.create_server((asked.address, asked.port), family=family, backlog=asked.backlog)
kept = []


def handle(connection: socket.socket) -> None:
    time.sleep(asked.work)
    try:
        if asked.do == "keep":
            kept.append(connection)
            return
        if asked.do == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif asked.do == "part":
            connection.recv(10)
        elif asked.do == "greet":
            connection.sendall(b"220 ready\r\n")
            connection.recv(1024)
        elif asked.do in ("echo-one", "echo-all"):
            while data := connection.recv(65536):
                connection.sendall(data)
                if asked.do == "echo-one":
                    break
    except OSError:
        pass
    connection.close()


def accept_one() -> None:
    connection, _address = listener.accept()
    print("accepted", flush=True)
    handle(connection)


def accept_waiting() -> None:
    """All that wait now."""
    listener.setblocking(False)
    try:
        while True:
            accept_one()
    except BlockingIOError:
        pass


print("ready", flush=True)
started = time.monotonic()
accepted = 0
while accepted != asked.accept and not (asked.mute_after and time.monotonic() - started > asked.mute_after):
    if asked.burst_every:
        time.sleep(asked.burst_every)
        accept_waiting()
        continue
    due = time.monotonic() + (1 / asked.rate if asked.rate else 0)
    accept_one()
    accepted += 1
    time.sleep(max(0.0, due - time.monotonic()))
while True:
    time.sleep(60)
