"""The load generator itself is the limit: it gets no CPU, and its timeouts end connections that were answered long ago.

No kernel rule but our own clock: a client that gets its CPU only now and then (a container's quota, a stolen core, a
neighbour: `kernel/sched/fair.c throttle_cfs_rq`) comes back to its loop later than its timeout. Its kernel has every
connection as ESTABLISHED by then, and the server has accepted each. The answers of 512 it takes before it looks at the
clock (MAX_EVENTS, _engine/client.h), and those beyond it ends. No limit of the server or of the path was met.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.diagnose.suspects.generator_saturated import TAKEN_FIRST
from estab.lab.parts.figures import connected_after, failed, moved
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, duration, rtt, somaxconn
from estab.lab.stage.runner import Ran
from estab.lab.stage.running import Running
from estab.lab.stage.setup import LoadSpec, Setup


@dataclass(frozen=True, kw_only=True)
class GeneratorSaturated(Scenario):
    """A client that gets no CPU while its connections are answered."""

    cause = "generator_saturated"
    side = "client"
    symptom = "the load tool reports timeouts that neither the server nor the network knows of"
    seconds = 8.0
    control = {"starved_s": 0.0, "connections": 100}

    connections: int = connections(560, "connections to hold, all begun at once")
    starved_s: float = duration(1.6, "how long the client's processes get no CPU once their SYNs have left")
    timeout_s: float = duration(0.9, "the clients' connect timeout")
    somaxconn: int = somaxconn()
    rtt_s: float = rtt(0.01)

    def predict(self) -> Mapping[str, Figure]:
        """Every connection is there, at both ends; and a client that comes too late ends those beyond the first 512."""
        late = self.starved_s > self.timeout_s
        return {
            "ESTABLISHED while it had no CPU": self.connections,
            "accepted by the server": self.connections,
            "ListenOverflows": 0,
            "own timeouts": max(0, self.connections - TAKEN_FIRST) if late else 0,
        }

    def setup(self) -> Setup:
        """The SYNs wait on the wire until the client is stopped."""
        load = LoadSpec(
            connections=self.connections, in_flight=self.connections, processes=1, duration_s=0.2,
            timeout_s=self.timeout_s,
        )  # fmt: skip
        return Setup(
            load=load, server=(("net.core.somaxconn", self.somaxconn),), rtt_s=self.rtt_s, backlog=self.somaxconn,
            starved_s=self.starved_s,
        )  # fmt: skip

    def look(self, running: Running) -> Mapping[str, Value]:
        """What its kernel has meanwhile."""
        running.arrived()
        return {"ESTABLISHED while it had no CPU": running.stage.client_states().get("ESTAB", 0)}

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """The server had every one of them."""
        accepted = ran.run.funnel.accepted
        return {
            "accepted by the server": None if accepted is None else accepted - connected_after(ran.run),
            "ListenOverflows": moved(ran.run, "ListenOverflows"),
            "own timeouts": failed(ran.run, "own_timeout"),
        }
