"""The standard library's server with a thread for each connection, and its queue of 5."""

import argparse
import socketserver
import time

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=8080)
parser.add_argument("--queue", type=int, default=5)
parser.add_argument("--slow-start", type=float, default=0, help="seconds of sleep for each accept")
asked = parser.parse_args()


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = asked.queue

    def verify_request(self, request: object, client_address: object) -> bool:
        print("accepted", flush=True)
        time.sleep(asked.slow_start)
        return True


with Server(("0.0.0.0", asked.port), Echo) as server:
    print("ready", flush=True)
    server.serve_forever()
