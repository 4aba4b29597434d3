"""Other clients than estab's: connections that were there before, or come and go beside it.

It writes "ready" when all of `--open` are connected or under way, and "failed NAME" for each connect that failed.
"""

import argparse
import errno
import socket
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("target")
parser.add_argument("--open", type=int, default=0, help="so many that stay")
parser.add_argument("--churn", type=float, default=0, help="so many a second that come and go")
parser.add_argument("--keep", type=float, default=0, help="seconds that each of those stays")
parser.add_argument("--timeout", type=float, default=1.0, help="seconds after which a connect is given up")
parser.add_argument("--ask", default="", help="what each says when it is connected")
parser.add_argument("--again", action="store_true", help="those of --open that fail are tried again and again")
parser.add_argument("--wait", type=float, default=0.0, help="seconds before the first")
asked = parser.parse_args()

host, _, port = asked.target.rpartition(":")
family = socket.AF_INET6 if ":" in host else socket.AF_INET
address = (host.strip("[]"), int(port))
open_ones: list[socket.socket] = []
passing: list[tuple[float, float, socket.socket]] = []


def failed(error: OSError | int) -> None:
    number = error if isinstance(error, int) else error.errno
    sys.stdout.write(f"failed {errno.errorcode.get(number or 0, number)}\n")
    sys.stdout.flush()


def begin() -> socket.socket | None:
    connection = socket.socket(family)
    connection.setblocking(False)
    code = connection.connect_ex(address)
    if code not in (0, errno.EINPROGRESS):
        failed(code)
        connection.close()
        return None
    return connection


def is_connected(connection: socket.socket) -> bool:
    try:
        connection.getpeername()
    except OSError:
        return False
    return True


def pass_by(now: float) -> None:
    """Ends those that have been long enough, or wait too long."""
    while passing and passing[0][0] <= now:
        _due, begun, connection = passing.pop(0)
        error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            failed(error)
        elif not is_connected(connection):
            if now - begun < asked.timeout:
                passing.append((now + 0.02, begun, connection))
                passing.sort(key=lambda each: each[0])
                continue
            sys.stdout.write("failed timeout\n")
            sys.stdout.flush()
        connection.close()


time.sleep(asked.wait)
for _ in range(asked.open):
    if (connection := begin()) is not None:
        open_ones.append(connection)
time.sleep(0.1)
if asked.ask:
    for connection in open_ones:
        if is_connected(connection):
            connection.send(asked.ask.encode())
print("ready", flush=True)
next_s = time.monotonic()
while True:
    now = time.monotonic()
    if asked.churn and now >= next_s:
        next_s += 1 / asked.churn
        if (connection := begin()) is not None:
            passing.append((now + max(asked.keep, 0.02), now, connection))
    if asked.again and len(open_ones) < asked.open and (connection := begin()) is not None:
        open_ones.append(connection)
    pass_by(now)
    time.sleep(max(0.0, min(next_s - time.monotonic(), 0.02)) if asked.churn else 0.05)
