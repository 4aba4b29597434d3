"""Has the port by bind(), and never listens."""

import socket
import time

with socket.socket() as bound:
    bound.bind(("0.0.0.0", 8080))
    print("ready", flush=True)
    while True:
        time.sleep(60)
