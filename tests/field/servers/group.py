"""Several processes, each with a listener of its own on the same port (SO_REUSEPORT); some of them stand still.

Each writes "accepted" with its number.
"""

import argparse
import os
import selectors
import signal
import socket
import time

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=8080)
parser.add_argument("--backlog", type=int, default=64)
parser.add_argument("--members", type=int, default=4)
parser.add_argument("--stuck", type=int, default=0, help="so many of them accept nothing")
parser.add_argument("--how", choices=("sleep", "stop"), default="sleep", help="asleep in a handler, or by SIGSTOP")
asked = parser.parse_args()


def serve(number: int) -> None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("0.0.0.0", asked.port))
    listener.listen(asked.backlog)
    listener.setblocking(False)
    if number < asked.stuck:
        if asked.how == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(1000)
    chooser = selectors.DefaultSelector()
    chooser.register(listener, selectors.EVENT_READ)
    while True:
        for key, _mask in chooser.select():
            if key.fileobj is listener:
                try:
                    connection, _address = listener.accept()
                except BlockingIOError:
                    continue
                print(f"accepted {number}", flush=True)
                chooser.register(connection, selectors.EVENT_READ)
                continue
            try:
                data = key.fileobj.recv(65536)
                key.fileobj.sendall(data)
            except OSError:
                data = b""
            if not data:
                chooser.unregister(key.fileobj)
                key.fileobj.close()


for member in range(asked.members):
    if os.fork() == 0:
        serve(member)
time.sleep(0.3)
print("ready", flush=True)
while True:
    time.sleep(60)
