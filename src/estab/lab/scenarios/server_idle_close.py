"""A program closes each connection that was silent for a second: by FIN, so that a client which asks then gets EPIPE.

No kernel has such a limit: TCP holds a silent connection for ever (RFC 9293, section 3.8.4; keepalive only probes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, duration, rtt
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup


@dataclass(frozen=True, kw_only=True)
class ServerIdleClose(Scenario):
    """Silent connections, held for longer than the program bears."""

    cause = "server_idle_close"
    side = "server"
    symptom = (
        "works, and after a pause EOF, broken pipe or connection reset at the first request over a pooled connection"
    )
    seconds = 9.0
    waits = True
    control = {"idle_s": 60.0}
    no_own_server = "its server is the failure: a program with an idle time of its own"

    connections: int = connections(40, "connections to hold")
    idle_s: float = duration(0.8, "for how long the program bears silence")
    held_s: float = duration(1.5, "how long the connections are held")
    rtt_s: float = rtt(0.005)

    def predict(self) -> Mapping[str, Figure]:
        """All have the same age."""
        closed = self.connections if self.idle_s < self.held_s else 0
        return {
            "connected": self.connections,
            "closed by the server": closed,
            "held to the end": self.connections - closed,
        }

    def setup(self) -> Setup:
        """Nobody asks."""
        load = LoadSpec(connections=self.connections, duration_s=self.held_s, processes=1)
        return Setup(load=load, rtt_s=self.rtt_s, closes=("idle", self.idle_s))

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What was closed, and what stayed."""
        return {
            "connected": ran.run.funnel.connected,
            "closed by the server": failed(ran.run, "eof"),
            "held to the end": ran.run.funnel.completed,
        }
