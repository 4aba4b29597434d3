"""The server does not answer for its link address (ARP): the SYN never leaves the client.

`neigh_resolve_output` (`net/core/neighbour.c`) keeps the SYN until the address is known, and gives up after three
requests, 3 s: EHOSTUNREACH (`net/ipv4/route.c ipv4_link_failure`). A SYN that is due again meanwhile is still in the
host and is not sent again: TCPSpuriousRtxHostQueues rises in place of TCPSynRetrans (`net/ipv4/tcp_output.c`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.diagnose.sent import HELD_BACK
from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, rtt, setting, switch
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Path, Setup


@dataclass(frozen=True, kw_only=True)
class NeighbourUnresolved(Scenario):
    """Connects to a neighbour that does not answer for its address."""

    cause = "neighbour_unresolved"
    side = "path"
    symptom = "connection timed out, or no route to host after 3 s; ping says Destination Host Unreachable"
    seconds = 8.0
    control = {"answers": True}

    # What is kept for one neighbour is bounded, by net.ipv4.neigh.*.unres_qlen_bytes.
    connections: int = setting(20, "clients that connect", 1, 50)
    answers: bool = switch(False, "whether the server answers for its link address")
    rtt_s: float = rtt(0.005)
    timeout_s: float = setting(1.7, "the clients' connect timeout", 1.2, 2.8)

    def predict(self) -> Mapping[str, Figure]:
        """None gets through, and each SYN is held back when it is due again."""
        if self.answers:
            return {"connected": self.connections}
        return {
            "connected": 0, "own_timeout": self.connections, "SYNs that left": 0,
            "TCPSpuriousRtxHostQueues": Interval(low=self.connections, high=None), "TCPSynRetrans": 0,
        }  # fmt: skip

    def setup(self) -> Setup:
        """No link address is known to the client beforehand, and the server tells none."""
        load = LoadSpec(connections=self.connections, duration_s=0.2, timeout_s=self.timeout_s)
        return Setup(load=load, rtt_s=self.rtt_s, path=Path(gap="none" if self.answers else "neighbour"))

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What the clients were told, and what became of their SYNs."""
        return {
            "connected": ran.run.funnel.connected,
            "own_timeout": failed(ran.run, "own_timeout"),
            "SYNs that left": len(ran.wire.syns),
            "TCPSpuriousRtxHostQueues": ran.run.client.rose(HELD_BACK),
            "TCPSynRetrans": ran.run.client.rose("TcpExt.TCPSynRetrans"),
        }
