"""All local ports towards one target are in use: connect() says EADDRNOTAVAIL, "cannot assign requested address".

A port counts once per (source address, target address, target port) (`net/ipv4/inet_hashtables.c __inet_hash_connect`;
docs/kernel.md rules 20 and 21). A second source address has the whole range again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules import ephemeral_ports
from estab.lab.parts.figures import connected_or
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup

LOW = 40000


@dataclass(frozen=True, kw_only=True)
class EphemeralPortExhaustion(Scenario):
    """More connections to one target than ports."""

    cause = "ephemeral_port_exhaustion"
    side = "client"
    symptom = "cannot assign requested address (99, EADDRNOTAVAIL)"
    seconds = 5.0
    control = {"connections": 100}

    connections: int = connections(300, "connections to hold")
    ports: int = setting(200, "size of net.ipv4.ip_local_port_range at the client", 1, 60_000)
    sources: int = setting(1, "source addresses, 1 or 2", 1, 2)
    reuse: int = setting(2, "net.ipv4.tcp_tw_reuse at the client", 0, 2)

    def predict(self) -> Mapping[str, Figure]:
        """The range, times the source addresses."""
        capacity = ephemeral_ports.capacity(LOW, LOW + self.ports - 1)
        room = ephemeral_ports.connections(capacity, source_addresses=self.sources)
        if room.low >= self.connections:
            return {"connected": self.connections}
        return {"connected": room, "connected + EADDRNOTAVAIL": self.connections}

    def setup(self) -> Setup:
        """A narrow range."""
        sources = self.sources if self.sources > 1 else 0
        return Setup(
            load=LoadSpec(connections=self.connections, duration_s=0.2, processes=1, sources=sources),
            client=(
                ("net.ipv4.tcp_tw_reuse", self.reuse),
                ("net.ipv4.ip_local_port_range", f"{LOW} {LOW + self.ports - 1}"),
            ),
            rtt_s=0.0,
        )  # fmt: skip

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """Who connected, and who found no port."""
        return connected_or(ran.run, "EADDRNOTAVAIL")
