"""A proxy: accepts, connects to its backend, passes bytes. Where the backend can't be reached it closes or resets."""

import argparse
import socket
import struct
import threading

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=8080)
parser.add_argument("--backend", default="127.0.0.1:9000")
parser.add_argument("--timeout", type=float, default=1.0)
parser.add_argument("--reset", action="store_true")
asked = parser.parse_args()

listener = socket.create_server(("0.0.0.0", asked.port), backlog=512)
host, _, port = asked.backend.rpartition(":")


def copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(client: socket.socket) -> None:
    try:
        backend = socket.create_connection((host, int(port)), timeout=asked.timeout)
    except OSError as error:
        print(f"backend: {error}", flush=True)
        if asked.reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        return
    backend.settimeout(None)
    other = threading.Thread(target=copy, args=(backend, client), daemon=True)
    other.start()
    copy(client, backend)
    other.join()
    client.close()
    backend.close()


print("ready", flush=True)
while True:
    connection, _address = listener.accept()
    print("accepted", flush=True)
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
