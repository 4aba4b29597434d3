"""Something between two hosts forgets a flow that rests for a while: both ends hold the connection, and data is lost.

Linux does so after nf_conntrack_tcp_timeout_established (`net/netfilter/nf_conntrack_proto_tcp.c`, five days by itself;
clouds, balancers and firewalls after minutes): what then comes is INVALID, and rulesets drop that or answer by RST.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, duration, rtt, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Path, Setup
from estab.lab.wire.spec import Forgotten
from estab.records import IdleGap, RunResult

_SHORTEST_S, _LONGEST_S = 0.01, 60.0


@dataclass(frozen=True, kw_only=True)
class PathIdleTimeout(Scenario):
    """Connections that rest for less and for longer than the wire remembers, and ask again."""

    cause = "path_idle_timeout"
    side = "path"
    symptom = "the first request after a pause hangs until it times out, or is reset; a new connection works at once"
    seconds = 14.0
    waits = True
    control = {"forgets_s": 60.0}

    connections: int = setting(8, "connections, half of them for each rest", 2, 1_000)
    short_s: float = setting(0.2, "for how long the one half rests", _SHORTEST_S, _LONGEST_S)
    long_s: float = setting(1.0, "for how long the other half rests", _SHORTEST_S, _LONGEST_S)
    forgets_s: float = duration(0.6, "for how long the wire remembers a flow that rests")
    then: Forgotten = setting("drop", "what becomes of what comes then", choices=get_args(Forgotten))  # noqa: RUF009
    rtt_s: float = rtt(0.005)
    timeout_s: float = duration(0.6, "the clients' timeout")

    def predict(self) -> Mapping[str, Figure]:
        """Which half is answered again."""
        half = self.connections // 2
        forgotten = {"short": self.short_s >= self.forgets_s, "long": self.long_s >= self.forgets_s}
        return {
            "connected": self.connections,
            "lost after the short rest": (self.connections - half) * forgotten["short"],
            "lost after the long rest": half * forgotten["long"],
        }

    def setup(self) -> Setup:
        """The wire forgets."""
        load = LoadSpec(
            connections=self.connections, duration_s=self.long_s, gaps_s=(self.short_s, self.long_s),
            timeout_s=self.timeout_s, processes=1,
        )  # fmt: skip
        return Setup(load=load, rtt_s=self.rtt_s, path=Path(forgets_s=self.forgets_s, forgotten=self.then))

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What was asked in vain."""
        short, long = (_gap(ran.run, gap_s) for gap_s in (self.short_s, self.long_s))
        return {
            "connected": ran.run.funnel.connected,
            "lost after the short rest": None if short is None else short.ended,
            "lost after the long rest": None if long is None else long.ended,
        }


def _gap(run: RunResult, gap_s: float) -> IdleGap | None:
    return next((gap for gap in run.idle_gaps if gap.gap_s == gap_s), None)
