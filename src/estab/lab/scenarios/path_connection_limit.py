"""A rule on the way lets so many connections live at once and resets the SYN of one beyond, in the server's place.

As `connlimit` and `ct count` with a reject do (`net/netfilter/nf_conncount.c`). The server's kernel never sees
what is refused, and a connect that is tried later is refused as well, for as long as the others are open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import MOST, Value, connections, duration, rtt, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Path, Setup


@dataclass(frozen=True, kw_only=True)
class PathConnectionLimit(Scenario):
    """More connections than the rule lets live."""

    cause = "path_connection_limit"
    side = "path"
    symptom = "connection refused from the N-th connection on, though the server runs; those that are open go on"
    seconds = 15.0
    waits = True
    control = {"most": 1000}

    connections: int = connections(60, "connections to hold")
    most: int = setting(25, "connections that the rule lets live at once", 1, MOST)
    rtt_s: float = rtt(0.005)
    held_s: float = duration(1.6, "how long they are held, until one more is tried; from 1 s on a rate is told apart")

    def predict(self) -> Mapping[str, Figure]:
        """As many as the rule lets live, and not one more while they do."""
        connected = min(self.most, self.connections)
        figures: dict[str, Figure] = {
            "connected": connected,
            "connect: ECONNREFUSED": self.connections - connected,
            "SYNs that arrived": connected,
        }
        return figures | ({"one more, later": "ECONNREFUSED"} if connected < self.connections else {})

    def setup(self) -> Setup:
        """The rule is on the wire."""
        load = LoadSpec(connections=self.connections, duration_s=self.held_s, processes=1)
        return Setup(load=load, rtt_s=self.rtt_s, path=Path(most=self.most))

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """Who got through, and what the others were told."""
        late = ran.run.late_connect
        return {
            "connected": ran.run.funnel.connected,
            "connect: ECONNREFUSED": failed(ran.run, "ECONNREFUSED"),
            "SYNs that arrived": sum(syn.arrived for syn in ran.wire.syns),
            "one more, later": None if late is None else late.errno,
        }
