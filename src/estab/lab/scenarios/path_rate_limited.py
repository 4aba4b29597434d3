"""A rule on the way lets a burst of SYNs through and then so many a second; what is beyond is lost without a word.

A token bucket, as of `net/netfilter/nft_limit.c nft_limit_eval`. Twice the connects make more failures, and not
one connection more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import connected_after, failed
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, duration, rtt, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Path, Setup


@dataclass(frozen=True, kw_only=True)
class PathRateLimited(Scenario):
    """Connects by chance, so many a second, against a limit."""

    cause = "path_rate_limited"
    side = "path"
    symptom = "new connections fail under load, about so many a second succeed whatever is tried; open ones work"
    seconds = 25.0
    control = {"burst": 100_000}

    offered_per_s: int = setting(100, "connects begun a second", 10, 1000)
    limit_per_s: int = setting(20, "SYNs that pass a second", 1, 100_000)
    burst: int = setting(10, "SYNs that pass at once", 1, 100_000)
    seconds_s: float = duration(4.0, "how long connects are begun")
    rtt_s: float = rtt(0.005)
    timeout_s: float = duration(0.9, "the clients' connect timeout; below 1 s no SYN is sent again")

    def predict(self) -> Mapping[str, Figure]:
        """The burst, then the rate; the ends of the run and when the last SYN comes make it not quite exact."""
        if self.burst >= 2 * self.offered_per_s * self.seconds_s:
            return {"own_timeout": 0}
        passes = self.burst + self.limit_per_s * self.seconds_s
        return {"connected": Interval(low=int(0.85 * passes), high=round(1.1 * passes) + 1),
                "SYNs that passed less connected": 0}  # fmt: skip

    def setup(self) -> Setup:
        """The bucket is on the wire."""
        load = LoadSpec(
            command="churn", connections=round(2 * self.offered_per_s * self.timeout_s) + 20, size_bytes=10,
            duration_s=self.seconds_s, timeout_s=self.timeout_s, rate_per_s=self.offered_per_s, processes=1,
        )  # fmt: skip
        path = Path(syns_per_s=self.limit_per_s, syn_burst=self.burst)
        return Setup(load=load, rtt_s=self.rtt_s, path=path)

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What got through."""
        connected = ran.run.funnel.connected
        through = connected + connected_after(ran.run)
        return {
            "connected": connected,
            "own_timeout": failed(ran.run, "own_timeout"),
            "SYNs that passed less connected": sum(syn.arrived for syn in ran.wire.syns) - through,
        }
