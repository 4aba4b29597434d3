"""The addresses of the stage's two hosts, and the port that is served."""

from __future__ import annotations

CLIENT, SERVER, PORT = "10.77.0.1", "10.77.0.2", 5000
LOOPBACK = "127.0.0.1"
NAME, DEAD = "server.estab-lab.test", "10.77.0.3"  # a name with two addresses, and the one where nobody listens
ADDRESSES = {"client": CLIENT, "server": SERVER}
MAC = {"client": "02:00:00:00:00:01", "server": "02:00:00:00:00:02"}
UNIX_SOCKET = "unix:@estab-lab"  # abstract: each network namespace has its own
