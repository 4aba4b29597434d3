"""From one moment on nothing passes any more, either way: a host that lost its power, a way that was cut.

Neither end is told. What each connection had sent last is repeated and never acknowledged (`net/ipv4/tcp_timer.c
tcp_retransmit_timer`), and a new connect is not answered.
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
class PeerVanished(Scenario):
    """Requests go on and on, until nobody answers any more."""

    cause = "peer_vanished"
    side = "path"
    symptom = "all connections to one host hang at one moment; lastack of all is the same, backoff rises"
    seconds = 13.0
    waits = True
    control = {"ends": False}

    connections: int = connections(12, "clients that ask again and again")
    ends: bool = switch(True, "whether the way ends")
    after_s: float = duration(0.6, "how long after the first connect the way ends")
    rtt_s: float = rtt(0.005)
    timeout_s: float = duration(0.8, "the clients' timeout")

    def predict(self) -> Mapping[str, Figure]:
        """All connect and are answered; then none is, and what they sent last nobody acknowledges."""
        if not self.ends:
            return {"connected": self.connections, "own_timeout": 0}
        return {
            "connected": self.connections, "own_timeout": self.connections, "unacknowledged": self.connections,
            "connect afterwards": "own_timeout", "last heard": Interval(low=self.after_s / 2, high=self.after_s + 2),
        }  # fmt: skip

    def setup(self) -> Setup:
        """The wire carries nothing from then on."""
        load = LoadSpec(
            command="bench", connections=self.connections, duration_s=self.after_s + 0.6, timeout_s=self.timeout_s
        )
        return Setup(load=load, rtt_s=self.rtt_s, path=Path(ends_s=self.after_s if self.ends else None))

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What the clients were told, what of theirs was acknowledged, and what a connect afterwards gave."""
        stalls, after = ran.run.stalls, ran.run.connect_after
        return {
            "connected": ran.run.funnel.connected,
            "own_timeout": failed(ran.run, "own_timeout"),
            "unacknowledged": None if stalls is None else stalls.unacknowledged,
            "connect afterwards": None if after is None else after.errno,
            "last heard": None if stalls is None else stalls.heard_s,
        }
