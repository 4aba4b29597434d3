"""The client's host masquerades to a few ports: as many connects get through as there are ports, the rest is lost.

`nf_nat_l4proto_unique_tuple` (`net/netfilter/nf_nat_core.c`) finds no free port, and `__nf_conntrack_confirm`
(`net/netfilter/nf_conntrack_core.c`) drops the packet: insert_failed and drop rise together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, duration, rtt, setting
from estab.lab.stage import firewall
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Path, Setup


@dataclass(frozen=True, kw_only=True)
class NatPortsExhausted(Scenario):
    """Connections that are kept, one port of the NAT each."""

    cause = "nat_ports_exhausted"
    side = "client"
    symptom = "the first N connections to one destination work, then SYNs vanish; another port of it works at once"
    seconds = 3.0
    control = {"ports": 1000}

    connections: int = connections(40, "clients that connect, and stay")
    ports: int = setting(11, "ports that the client's host masquerades to", 1, 60_000)
    rtt_s: float = rtt(0.005)
    timeout_s: float = duration(0.6, "the clients' connect timeout")

    @classmethod
    def why_not(cls) -> str | None:
        """It needs nftables."""
        return firewall.why_not()

    def predict(self) -> Mapping[str, Figure]:
        """One connection a port."""
        connected = min(self.ports, self.connections)
        return {"connected (the ports)": connected, "own_timeout": self.connections - connected,
                "SYNs that left": connected}  # fmt: skip

    def setup(self) -> Setup:
        """The rule stands in the client's host."""
        load = LoadSpec(connections=self.connections, duration_s=0.2, timeout_s=self.timeout_s)
        return Setup(load=load, rtt_s=self.rtt_s, path=Path(nat_ports=self.ports))

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """Who got a port, and what left the host."""
        return {
            "connected (the ports)": ran.run.funnel.connected,
            "own_timeout": failed(ran.run, "own_timeout"),
            "SYNs that left": len(ran.wire.syns),
        }
