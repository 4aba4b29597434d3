"""One of several ways to the server is dead: a fixed share of the flows is lost for ever, while the others go on.

What chooses the way is a hash of addresses and ports (Linux: `net/ipv4/route.c fib_multipath_hash`), so each SYN of a
flow meets the same member: sent again, it is lost again. Here the wire chooses, by the source port.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import failed, lost_on_the_way
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, duration, rtt, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Path, Setup

_PER_S = 60.0


@dataclass(frozen=True, kw_only=True)
class PathMemberDead(Scenario):
    """Connects at a steady rate, of which a share takes a dead way."""

    cause = "path_member_dead"
    side = "path"
    symptom = "one connect in four times out, whatever the load; tried again, it may work at once"
    seconds = 24.0
    waits = True
    control = {"members": 0}

    connections: int = connections(200, "clients that connect, 60 a second")
    members: int = setting(4, "ways to the server, the last of them dead; 0: one way, which is well", 0, 64)
    rtt_s: float = rtt(0.01)
    timeout_s: float = duration(1.5, "the clients' connect timeout; above 1 s a lost SYN is sent again")

    def predict(self) -> Mapping[str, Figure]:
        """Some share near that of one member; who loses a SYN loses all."""
        if not self.members:
            return {"connected": self.connections}
        share = self.connections / self.members
        # Consecutive connects take every second port, now and then another one: the share differs by chance.
        return {
            "own_timeout": Interval(low=int(share / 2), high=round(1.5 * share) + 1),
            "connected + own_timeout": self.connections,
            "SYNs of those that arrived": 0,
            "connected at a later SYN": 0,
        }

    def setup(self) -> Setup:
        """The ways are on the wire."""
        load = LoadSpec(
            connections=self.connections, duration_s=0.2, timeout_s=self.timeout_s, ramp_per_s=_PER_S, processes=1
        )
        return Setup(load=load, rtt_s=self.rtt_s, path=Path(members=self.members))

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """Who was lost, and whether by all of his SYNs."""
        connected, lost = ran.run.funnel.connected, failed(ran.run, "own_timeout")
        return {
            "connected": connected,
            "own_timeout": lost,
            "connected + own_timeout": connected + lost,
            "SYNs of those that arrived": lost_on_the_way(ran.wire)["SYNs of those that arrived"],
            "connected at a later SYN": ran.run.retransmitted,
        }
