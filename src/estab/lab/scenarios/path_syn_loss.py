"""SYNs are lost on the way: those connects take a second longer, and with a short timeout they fail.

A SYN without an answer is sent again after 1 s (`net/ipv4/tcp_timer.c tcp_retransmit_timer`, TCP_TIMEOUT_INIT), so a
connect's latency tells how many were lost (docs/kernel.md rules 17 to 19). The listener's counters stand still.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules import syn_retries
from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import failed
from estab.lab.parts.running_kernel import HZ, KERNEL, LINEAR
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import MOST, Value, connections, duration, rtt, setting, somaxconn
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Path, Setup


@dataclass(frozen=True, kw_only=True)
class PathSynLoss(Scenario):
    """Connects over a wire that loses chosen SYNs."""

    cause = "path_syn_loss"
    side = "path"
    symptom = "some connects take 1, 2, 3 or 7 s, or time out; most are fast"
    seconds = 5.0
    control = {"every": 0}
    unmended = "what fixes a path is beyond two network namespaces: another link"

    connections: int = connections(100, "clients that connect")
    every: int = setting(5, "each so-many-th of their first SYNs is lost; 0 loses none", 0, MOST)
    somaxconn: int = somaxconn()
    rtt_s: float = rtt(0.01)
    timeout_s: float = duration(3.0, "the clients' connect timeout")

    @property
    def lost(self) -> int:
        """How many first SYNs are lost."""
        return self.connections // self.every if self.every else 0

    def predict(self) -> Mapping[str, Figure]:
        """As many late as were lost, one retransmission each, and how late."""
        if not self.lost:
            return {"connected": self.connections, "after 1 retransmission": 0}
        if not syn_retries.sees_retransmission(self.timeout_s):
            return {"connected": self.connections - self.lost, "own_timeout": self.lost}
        band = syn_retries.bands(1, LINEAR, rtt_s=self.rtt_s, hz=HZ, kernel=KERNEL)[1].between_s
        loaded = Interval(low=band.low, high=(band.high or band.low) + 0.15)  # the machine's load comes on top
        return {"connected": self.connections, "after 1 retransmission": self.lost, "slowest connect (s)": loaded}

    def setup(self) -> Setup:
        """Evenly spread over the connects."""
        return Setup(
            load=LoadSpec(connections=self.connections, duration_s=0.2, timeout_s=self.timeout_s),
            server=(("net.core.somaxconn", self.somaxconn),), rtt_s=self.rtt_s,
            path=Path(lost=(self.lost,) if self.lost else ()),
        )  # fmt: skip

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """How many were late, and how late."""
        latency = ran.run.latency.connect_us
        return {
            "connected": ran.run.funnel.connected,
            "after 1 retransmission": ran.run.syn_retransmits.get("1", 0),
            "own_timeout": failed(ran.run, "own_timeout"),
            "slowest connect (s)": latency.max / 1e6 if latency and latency.max else None,
        }
