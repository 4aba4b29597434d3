"""N threads: each accepts, serves that connection to its end, then accepts the next. Who keeps one keeps a thread."""

import argparse
import socket
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=8080)
parser.add_argument("--backlog", type=int, default=128)
parser.add_argument("--threads", type=int, default=5)
parser.add_argument("--work", type=float, default=0, help="seconds of sleep before each answer")
asked = parser.parse_args()

listener = socket.create_server(("0.0.0.0", asked.port), backlog=asked.backlog)


def serve() -> None:
    while True:
        connection, _address = listener.accept()
        print("accepted", flush=True)
        with connection:
            try:
                while data := connection.recv(65536):
                    time.sleep(asked.work)
                    connection.sendall(data)
            except OSError:
                pass


print("ready", flush=True)
for _ in range(asked.threads):
    threading.Thread(target=serve, daemon=True).start()
threading.Event().wait()
