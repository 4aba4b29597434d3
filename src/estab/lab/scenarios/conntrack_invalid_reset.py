"""The client's host masquerades, and one segment of the server's lies outside of the window that it follows.

`tcp_in_window` (`net/netfilter/nf_conntrack_proto_tcp.c`) takes it for INVALID, so it is not translated back: it is for
the host's own address, where no socket has that port. `tcp_v4_send_reset` (`net/ipv4/tcp_ipv4.c`) answers, and the
server's kernel ends the connection. With nf_conntrack_tcp_be_liberal it is translated, and the client's TCP drops it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, duration, rtt, switch
from estab.lab.stage import firewall
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Path, Setup

_NAT_PORTS = 1_000


@dataclass(frozen=True, kw_only=True)
class ConntrackInvalidReset(Scenario):
    """Clients that ask again and again, each of which is sent one such segment before its first answer."""

    cause = "conntrack_invalid_reset"
    side = "client"
    symptom = "connection reset by peer on connections that worked, in bulk, behind NAT; the server was reset as well"
    seconds = 3.0
    control = {"strays": False}

    connections: int = connections(20, "clients that connect and ask")
    strays: bool = switch(True, "whether the wire sends each of them a segment from outside of the window")
    rtt_s: float = rtt(0.005)
    timeout_s: float = duration(1.5, "the clients' timeout")

    @classmethod
    def why_not(cls) -> str | None:
        """It needs nftables."""
        return firewall.why_not()

    def predict(self) -> Mapping[str, Figure]:
        """Each connection is reset once."""
        reset = self.connections if self.strays else 0
        return {"connected": self.connections, "ECONNRESET": reset, "RSTs of the client's kernel": reset}

    def setup(self) -> Setup:
        """The client masquerades to ports that none of its sockets has."""
        load = LoadSpec(command="bench", connections=self.connections, duration_s=0.5, timeout_s=self.timeout_s)
        return Setup(load=load, rtt_s=self.rtt_s, path=Path(nat_ports=_NAT_PORTS, strays=self.strays))

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What the clients were told, and who reset what."""
        return {
            "connected": ran.run.funnel.connected,
            "ECONNRESET": failed(ran.run, "ECONNRESET", "EPIPE"),
            "RSTs of the client's kernel": ran.run.client.rose("Tcp.OutRsts"),
        }
