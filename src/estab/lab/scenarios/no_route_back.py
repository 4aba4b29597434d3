"""The SYN arrives, but the server has no route to whom it came from: it is dropped without an answer.

`tcp_conn_request` (`net/ipv4/tcp_input.c`) looks for the route of the SYN-ACK; without one ListenDrops rises, and
Ip.OutNoRoutes with it (`net/ipv4/inet_connection_sock.c inet_csk_route_req`). No queue was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.figures import failed, moved
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, duration, rtt, switch
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Path, Setup, Sysctls

# A host whose rp_filter is set drops such a SYN before any listener sees it (`net/ipv4/fib_frontend.c`).
_NO_FILTER: Sysctls = (("net.ipv4.conf.all.rp_filter", 0), ("net.ipv4.conf.default.rp_filter", 0))


@dataclass(frozen=True, kw_only=True)
class NoRouteBack(Scenario):
    """Connects from an address that the server has no route to."""

    cause = "no_route_back"
    side = "server"
    symptom = "connection timed out from one network alone; the SYNs arrive"
    seconds = 4.0
    control = {"routed": True}

    connections: int = connections(40, "clients that connect")
    routed: bool = switch(False, "whether the server has a route to the clients")
    rtt_s: float = rtt(0.005)
    timeout_s: float = duration(0.6, "the clients' connect timeout")

    def predict(self) -> Mapping[str, Figure]:
        """None is answered, and each SYN that arrives counts in both counters."""
        if self.routed:
            return {"connected": self.connections}
        return {"connected": 0, "own_timeout": self.connections, "SYNs less OutNoRoutes": 0, "SYNs less ListenDrops": 0,
                "ListenOverflows": 0}  # fmt: skip

    def setup(self) -> Setup:
        """The clients' address is one of another network."""
        load = LoadSpec(connections=self.connections, duration_s=0.2, timeout_s=self.timeout_s)
        path = Path(gap="none" if self.routed else "way_back")
        return Setup(load=load, server=_NO_FILTER, rtt_s=self.rtt_s, path=path)

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What the clients were told, and what the server counted."""
        arrived = sum(syn.arrived for syn in ran.wire.syns)
        return {
            "connected": ran.run.funnel.connected,
            "own_timeout": failed(ran.run, "own_timeout"),
            "SYNs less OutNoRoutes": arrived - (ran.run.server.rose("Ip.OutNoRoutes") or 0),
            "SYNs less ListenDrops": arrived - (moved(ran.run, "ListenDrops") or 0),
            "ListenOverflows": moved(ran.run, "ListenOverflows"),
        }
