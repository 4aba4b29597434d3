"""A process for each connection, as inetd did it; `--limit` children at most, and what is over that waits."""

import argparse
import os
import socket

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=8080)
parser.add_argument("--backlog", type=int, default=128)
parser.add_argument("--limit", type=int, default=1000)
asked = parser.parse_args()

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
    if os.fork():
        children += 1
        connection.close()
        continue
    listener.close()
    try:
        while data := connection.recv(65536):
            connection.sendall(data)
    except OSError:
        pass
    os._exit(0)
