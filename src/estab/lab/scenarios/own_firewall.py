"""A rule of the client's own host refuses or drops what it sends: nothing of it reaches the wire.

REJECT in OUTPUT makes an ICMP error that the host takes in itself (`net/ipv4/netfilter/nf_reject_ipv4.c
nf_send_unreach`): ECONNREFUSED. DROP lets the first SYN vanish; when it is due again `tcp_retransmit_skb` gets EPERM
and counts TCPRetransFail (`net/ipv4/tcp_output.c`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Figure, FigureRow, Measure, Scenario, compared
from estab.lab.parts.settings import Value, connections, duration, rtt, setting
from estab.lab.stage import firewall
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import Closed, LoadSpec, Path, Setup

CLOSED: dict[str, Closed] = {"none": "none", "reject": "own_reject", "drop": "own_drop"}


@dataclass(frozen=True, kw_only=True)
class OwnFirewall(Scenario):
    """Connects that the client's own rules let nowhere."""

    cause = "own_firewall"
    side = "client"
    symptom = "connection refused, or timed out, from this host alone; tcpdump shows no SYN"
    seconds = 5.0
    control = {"rule": "none"}

    connections: int = connections(40, "clients that connect")
    rule: str = setting("reject", "what the rule in OUTPUT does: none, reject or drop", choices=tuple(CLOSED))
    rtt_s: float = rtt(0.005)
    timeout_s: float = duration(1.4, "the clients' connect timeout; above 1 s a dropped SYN is due again")

    @classmethod
    def why_not(cls) -> str | None:
        """It needs nftables."""
        return firewall.why_not()

    def predict(self) -> Mapping[str, Figure]:
        """None gets through, which errno says so, and nothing leaves the host."""
        if self.rule == "none":
            return {"connected": self.connections}
        errno = "ECONNREFUSED" if self.rule == "reject" else "own_timeout"
        return {"connected": 0, f"connect: {errno}": self.connections, "SYNs that left": 0}

    def setup(self) -> Setup:
        """The rule stands in the client's host."""
        load = LoadSpec(connections=self.connections, duration_s=0.2, timeout_s=self.timeout_s)
        return Setup(load=load, rtt_s=self.rtt_s, path=Path(closed=CLOSED[self.rule]))

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What the client was told, and what came to the wire."""
        figures: dict[str, Value] = {"connected": ran.run.funnel.connected, "SYNs that left": len(ran.wire.syns)}
        return figures | {f"connect: {errno}": failed(ran.run, errno) for errno in ("ECONNREFUSED", "own_timeout")}

    def more(self, measure: Measure) -> Iterator[FigureRow]:
        """The other kind of rule."""
        yield from compared(measure, "drop", self.but(rule="drop"))
