"""All that one end sends arrives with a wrong checksum: the other end's kernel drops it without a word.

`tcp_v4_rcv` (`net/ipv4/tcp_ipv4.c`) counts InCsumErrors and says nothing: the sender sends again, and that arrives
wrong as well. A tunnel or a virtual interface that is to fill checksums in, and does not, does this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, duration, rtt, switch
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Path, Setup


@dataclass(frozen=True, kw_only=True)
class ChecksumErrors(Scenario):
    """Connects whose SYNs, or the answers to them, are dropped where they arrive."""

    cause = "checksum_errors"
    side = "path"
    symptom = "every connect times out though tcpdump shows the SYNs arrive; InCsumErrors rises"
    seconds = 6.0
    control = {"spoils": False}

    connections: int = connections(20, "clients that connect")
    spoils: bool = switch(True, "whether the wire spoils the checksum of what the clients send")
    rtt_s: float = rtt(0.005)
    timeout_s: float = duration(1.5, "the clients' connect timeout")

    def predict(self) -> Mapping[str, Figure]:
        """None connects, and each SYN counts where it arrives."""
        if not self.spoils:
            return {"connected": self.connections, "own_timeout": 0, "InCsumErrors at the server": 0}
        return {
            "connected": 0, "own_timeout": self.connections,
            "InCsumErrors at the server": Interval(low=2 * self.connections, high=3 * self.connections),
        }  # fmt: skip

    def setup(self) -> Setup:
        """The wire spoils what comes from the clients."""
        load = LoadSpec(connections=self.connections, duration_s=0.2, timeout_s=self.timeout_s)
        return Setup(load=load, rtt_s=self.rtt_s, path=Path(spoils="client" if self.spoils else None))

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """Who got through, and what the server's kernel counted."""
        return {
            "connected": ran.run.funnel.connected,
            "own_timeout": failed(ran.run, "own_timeout"),
            "InCsumErrors at the server": ran.run.server.rose("Tcp.InCsumErrors"),
        }
