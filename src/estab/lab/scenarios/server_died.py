"""The server's process is killed while connections are held: all of them end at one moment, and nobody listens.

`kernel/exit.c do_exit` closes what a process leaves open: each connection by FIN (by RST where data is unread), and the
listener.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, duration, rtt, switch
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup


@dataclass(frozen=True, kw_only=True)
class ServerDied(Scenario):
    """Idle connections, and a process that ends in their midst."""

    cause = "server_died"
    side = "server"
    symptom = "all connections closed or reset at the same moment, then connection refused"
    seconds = 6.0
    control = {"dies": False}
    no_own_server = "its server is the failure: a process that ends"
    unmended = "only the program, or who ended it, can fix that: its connections are lost"

    connections: int = connections(50, "connections to hold")
    dies: bool = switch(True, "whether the server's process is killed")
    after_s: float = duration(0.6, "when it is killed, after its first accept")
    held_s: float = duration(1.4, "how long the connections are held")
    rtt_s: float = rtt(0.005)

    def predict(self) -> Mapping[str, Figure]:
        """All end, and the listener with them."""
        ended = self.connections if self.dies else 0
        return {"connected": self.connections, "ended early": ended, "listeners afterwards": 0 if self.dies else 1}

    def setup(self) -> Setup:
        """The program kills itself."""
        load = LoadSpec(connections=self.connections, duration_s=self.held_s, processes=1)
        setup = Setup(load=load, rtt_s=self.rtt_s)
        return replace(setup, closes=("dies", self.after_s)) if self.dies else setup

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What the clients saw, and what listens at the end."""
        after = ran.run.server.after
        return {
            "connected": ran.run.funnel.connected,
            "ended early": failed(ran.run, "eof", "ECONNRESET"),
            "listeners afterwards": len(after.listeners) if after is not None and after.listeners is not None else None,
        }
