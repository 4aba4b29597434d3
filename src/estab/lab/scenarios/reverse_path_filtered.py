"""The SYN comes by an interface that is not the way back to the client, and rp_filter=1 drops it in silence.

`net/ipv4/fib_frontend.c __fib_validate_source` refuses it before TCP sees it; TcpExt.IPReversePathFilter rises by each.
Loose (2), any route back will do: the answers go by the other interface, and arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.figures import failed, moved
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, duration, rtt, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Path, Setup


@dataclass(frozen=True, kw_only=True)
class ReversePathFiltered(Scenario):
    """Connects from an address that the server would answer by another interface."""

    cause = "reverse_path_filtered"
    side = "server"
    symptom = "connection timed out at a server with two networks; tcpdump there shows the SYNs, no rule drops them"
    seconds = 4.0
    control = {"rp_filter": 2}

    connections: int = connections(40, "clients that connect")
    rp_filter: int = setting(1, "net.ipv4.conf.all.rp_filter at the server: 1 strict, 2 loose", 0, 2)
    rtt_s: float = rtt(0.005)
    timeout_s: float = duration(0.6, "the clients' connect timeout")

    def predict(self) -> Mapping[str, Figure]:
        """Strict, none is answered, and each SYN that arrives is counted."""
        if self.rp_filter != 1:
            return {"connected": self.connections}
        return {"connected": 0, "own_timeout": self.connections, "SYNs less IPReversePathFilter": 0, "ListenDrops": 0}

    def setup(self) -> Setup:
        """The server has a second link to the clients, and its route to their network goes by it."""
        load = LoadSpec(connections=self.connections, duration_s=0.2, timeout_s=self.timeout_s)
        setup = Setup(load=load, rtt_s=self.rtt_s, path=Path(gap="other_way"))
        return setup.with_sysctl("server", "net.ipv4.conf.all.rp_filter", self.rp_filter)

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What the clients were told, and what the server counted."""
        arrived = sum(syn.arrived for syn in ran.wire.syns)
        return {
            "connected": ran.run.funnel.connected,
            "own_timeout": failed(ran.run, "own_timeout"),
            "SYNs less IPReversePathFilter": arrived - (moved(ran.run, "IPReversePathFilter") or 0),
            "ListenDrops": moved(ran.run, "ListenDrops"),
        }
