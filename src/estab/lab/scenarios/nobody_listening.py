"""Nothing listens on the port: each SYN is answered by RST, and connect() says ECONNREFUSED at once.

`net/ipv4/tcp_ipv4.c tcp_v4_rcv` finds no socket and sends RST; `tcp_rcv_synsent_state_process` makes
ECONNREFUSED of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, rtt, somaxconn, switch
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup

_WHERE_IT_IS = "--server stood for the server that is started: in the remedy that starts it, and in the healthy control"


@dataclass(frozen=True, kw_only=True)
class NobodyListening(Scenario):
    """Connects to a port that nobody has."""

    cause = "nobody_listening"
    side = "server"
    symptom = "connection refused, at once"
    seconds = 3.0
    control = {"listens": True}

    connections: int = connections(50, "clients that connect")
    listens: bool = switch(False, "whether the server is there")
    somaxconn: int = somaxconn()
    rtt_s: float = rtt(0.01)

    def predict(self) -> Mapping[str, Figure]:
        """All or none."""
        connected, refused = (self.connections, 0) if self.listens else (0, self.connections)
        return {"connected": connected, "ECONNREFUSED": refused}

    def setup(self) -> Setup:
        """Two hosts without a listener."""
        return Setup(
            load=LoadSpec(connections=self.connections, duration_s=0.2),
            server=(("net.core.somaxconn", self.somaxconn),), rtt_s=self.rtt_s, listens=self.listens,
        )  # fmt: skip

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """Who connected, and who was refused."""
        return {"connected": ran.run.funnel.connected, "ECONNREFUSED": failed(ran.run, "ECONNREFUSED")}

    def notes(self, *, own_server: bool) -> tuple[str, ...]:
        """Where the user's own server took part."""
        return (_WHERE_IT_IS,) if own_server and not self.listens else ()
