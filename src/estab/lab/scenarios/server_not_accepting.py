"""A server that listens and never accepts: B+1 connections wait, the client believes in more, and nothing is answered.

The accept queue fills and is never emptied (`net/ipv4/inet_connection_sock.c inet_csk_accept` takes from it). The
figures are those of `accept_queue_overflow`, for a queue that nobody empties overflows whatever its length
(docs/kernel.md rules 2 to 4 and 16). A longer backlog lets more wait, no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.bursts import both_ends, burst_setup, predict_burst
from estab.lab.parts.figures import queue_sysctls
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, backlog, connections, cookies, max_syn_backlog, rtt, somaxconn, switch
from estab.lab.stage.running import Running
from estab.lab.stage.setup import Setup


@dataclass(frozen=True, kw_only=True)
class ServerNotAccepting(Scenario):
    """A listener, a burst, and no accept()."""

    cause = "server_not_accepting"
    side = "server"
    symptom = "connect works, requests are never answered; ss shows Recv-Q of the listener rise and never fall"
    seconds = 3.0
    control = {"accepts": True, "connections": 100}

    connections: int = connections(400, "clients that connect within one round trip")
    backlog: int = backlog(128)
    somaxconn: int = somaxconn()
    cookies: int = cookies(1)
    max_syn_backlog: int = max_syn_backlog()
    rtt_s: float = rtt(0.01)
    accepts: bool = switch(False, "whether the server calls accept() after all")

    def predict(self) -> Mapping[str, Figure]:
        """Both ends, once all handshakes are over and before a SYN is sent again."""
        return predict_burst(
            connections=self.connections, rtt_s=self.rtt_s, backlog=self.backlog, somaxconn=self.somaxconn,
            cookies=self.cookies, max_syn_backlog=self.max_syn_backlog,
        )  # fmt: skip

    def setup(self) -> Setup:
        """The burst, and the queue."""
        return burst_setup(
            connections=self.connections, rtt_s=self.rtt_s, backlog=self.backlog, accepts=self.accepts,
            server=queue_sysctls(self.somaxconn, self.cookies, self.max_syn_backlog),
        )  # fmt: skip

    def look(self, running: Running) -> Mapping[str, Value]:
        """Both ends after it."""
        return both_ends(running)
