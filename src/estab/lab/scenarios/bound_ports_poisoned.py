"""bind() owns most of the port range: EADDRNOTAVAIL although few connections are open.

connect() passes over a port whose bind bucket belongs to a plain bind(), whatever its destination
(`net/ipv4/inet_hashtables.c __inet_hash_connect`, `fastreuse`); with IP_BIND_ADDRESS_NO_PORT a bound source address
owns none (docs/kernel.md rule 21). `ss -tan` does not show such sockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules import ephemeral_ports
from estab.lab.parts.figures import connected_or
from estab.lab.parts.running_kernel import KERNEL
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, setting, switch
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup

LOW, PORTS = 40000, 200


@dataclass(frozen=True, kw_only=True)
class BoundPortsPoisoned(Scenario):
    """Another program's sockets own the ports, and then somebody connects."""

    cause = "bound_ports_poisoned"
    side = "client"
    symptom = "cannot assign requested address (99), while ss shows the range almost unused"
    seconds = 6.0
    control = {"bound": 0}

    connections: int = connections(100, "connections to hold, of a range of 200 ports")
    bound: int = setting(150, "sockets that did bind() and nothing else", 0, PORTS)
    no_port: bool = switch(False, "whether they set IP_BIND_ADDRESS_NO_PORT first")
    reuse: int = setting(2, "net.ipv4.tcp_tw_reuse at the client", 0, 2)

    def predict(self) -> Mapping[str, Figure]:
        """What the range has left."""
        owned = () if self.no_port else range(LOW, LOW + self.bound)
        room = ephemeral_ports.capacity(LOW, LOW + PORTS - 1, bound=owned).connections
        if room.low >= self.connections:
            return {"connected": self.connections}
        return {"connected": room, "connected + EADDRNOTAVAIL": self.connections}

    def setup(self) -> Setup:
        """A narrow range, and who owns part of it."""
        return Setup(
            load=LoadSpec(connections=self.connections, duration_s=0.2, processes=1),
            client=(
                ("net.ipv4.ip_local_port_range", f"{LOW} {LOW + PORTS - 1}"), ("net.ipv4.tcp_tw_reuse", self.reuse)
            ),
            rtt_s=0.0, bound=self.bound, bound_no_port=self.no_port,
        )  # fmt: skip

    @classmethod
    def only_possible(cls) -> str | None:
        """`net/ipv4/inet_diag.c inet_csk_diag_dump`, TCPF_BOUND_INACTIVE."""
        return None if KERNEL.at_least(6, 8) else "kernels before 6.8 do not show sockets that did bind() alone"

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """Who connected, and who found no port."""
        return connected_or(ran.run, "EADDRNOTAVAIL")
