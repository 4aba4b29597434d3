"""Nothing is wrong, in three shapes: connections held, requests answered, short connections. Nothing may be accused.

A judge that names a cause here is wrong everywhere. Times are not judged: the machine may be busy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from estab.lab.parts.scenario import Figure, FigureRow, Measure, Scenario
from estab.lab.parts.settings import Value, connections, rtt
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup
from estab.records import RunResult


@dataclass(frozen=True, kw_only=True)
class Healthy(Scenario):
    """Connections that are held; then requests, and short connections."""

    cause = None
    side = "none"
    symptom = "none: everything is served"
    seconds = 3.0

    connections: int = connections(300, "connections to hold; a tenth of them ask and are answered")
    rtt_s: float = rtt(0.01)

    def predict(self) -> Mapping[str, Figure]:
        """All of it."""
        return {"connected": self.connections, "accepted": self.connections, "failures": 0, "ghosts": 0}

    def setup(self) -> Setup:
        """A server that is well."""
        return Setup(load=LoadSpec(connections=self.connections, duration_s=0.3), rtt_s=self.rtt_s)

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """Everybody is served."""
        funnel, ghosts = ran.run.funnel, ran.run.ghosts
        return {
            "connected": funnel.connected,
            "accepted": funnel.accepted,
            "failures": len(ran.run.failures),
            "ghosts": ghosts.count if ghosts else None,
        }

    def more(self, measure: Measure) -> Iterator[FigureRow]:
        """Requests, and short connections."""
        few = max(1, self.connections // 10)
        for load in (LoadSpec(command="bench", connections=few, duration_s=0.5),
                     LoadSpec(command="churn", connections=few, duration_s=0.5)):  # fmt: skip
            yield from _well(load.command, measure.runner.run(replace(self.setup(), load=load)).run)


def _well(what: str, run: RunResult) -> Iterator[FigureRow]:
    suspects = run.diagnosis.suspects if run.diagnosis else []
    accused = ", ".join(suspect.cause for suspect in suspects if suspect.verdict == "confirmed")
    yield FigureRow(f"{what}: failures", 0, sum(failure.count for failure in run.failures))
    yield FigureRow(f"{what}: causes named", "none", (accused or "none") if run.diagnosis else None)
