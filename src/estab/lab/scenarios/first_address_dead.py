"""A name with two addresses, and nobody listens on the first: what connects to that alone is refused.

`getaddrinfo` gives both, in an order of its own (RFC 6724); a load asks the first, as connect() to its first does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, rtt, switch
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Path, Setup


@dataclass(frozen=True, kw_only=True)
class FirstAddressDead(Scenario):
    """Connects to the first address of a name."""

    cause = "first_address_dead"
    side = "server"
    symptom = "connection refused by one program, while curl to the same name works; localhost fails, 127.0.0.1 works"
    seconds = 4.0
    control = {"dead": False}

    connections: int = connections(20, "clients that connect")
    dead: bool = switch(True, "whether the name has an address where nobody listens, before the server's")
    rtt_s: float = rtt(0.005)

    def predict(self) -> Mapping[str, Figure]:
        """All connects go to the first address and are refused, and the second answers."""
        if not self.dead:
            return {"connected": self.connections, "ECONNREFUSED": 0}
        return {"connected": 0, "ECONNREFUSED": self.connections, "addresses": 2, "addresses that answer": 1}

    def setup(self) -> Setup:
        """Both addresses are the server's host's; it listens on one."""
        load = LoadSpec(connections=self.connections, duration_s=0.2)
        return Setup(load=load, rtt_s=self.rtt_s, path=Path(dead_first=self.dead))

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What the clients were told, and what each address gave afterwards."""
        addresses = ran.run.addresses
        return {
            "connected": ran.run.funnel.connected,
            "ECONNREFUSED": failed(ran.run, "ECONNREFUSED"),
            "addresses": len(addresses),
            "addresses that answer": sum(each.connect.errno is None for each in addresses),
        }
