"""A proxy accepts, its connect to the backend is refused, and it closes: connects work, and nothing else does.

Each refused connect leaves SYN_SENT without a connection, which `net/ipv4/tcp.c tcp_set_state` counts as AttemptFails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, rtt, switch
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup


@dataclass(frozen=True, kw_only=True)
class ProxyBackendUnreachable(Scenario):
    """Clients that connect to a proxy in front of a closed port."""

    cause = "proxy_backend_unreachable"
    side = "server"
    symptom = "connect works, then EOF at once; docker-proxy or a load balancer accepts, the service is down"
    seconds = 4.0
    control = {"listens": True}
    no_own_server = "its server is the failure: a proxy without a backend"

    connections: int = connections(40, "clients that connect")
    listens: bool = switch(False, "whether the proxy's backend listens")
    rtt_s: float = rtt(0.005)

    def predict(self) -> Mapping[str, Figure]:
        """Each is connected and closed, and each brings a connect that fails."""
        closed = 0 if self.listens else self.connections
        return {"connected": self.connections, "closed by the proxy": closed, "AttemptFails": closed}

    def setup(self) -> Setup:
        """The proxy is a program that does nothing else."""
        load = LoadSpec(connections=self.connections, duration_s=0.4, processes=1)
        return Setup(load=load, rtt_s=self.rtt_s, closes=None if self.listens else ("no_backend", 0))

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What the clients saw, and the connects of the proxy's host."""
        return {
            "connected": ran.run.funnel.connected,
            "closed by the proxy": failed(ran.run, "eof", "ECONNRESET"),
            "AttemptFails": ran.run.server.rose("Tcp.AttemptFails"),
        }
