"""Nothing is wrong, in three shapes: connections held, requests answered, short connections. Nothing may be accused.

A judge that names a cause here is wrong everywhere. Times are not judged: the machine may be busy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from estab.api.bench import bench
from estab.api.churn import churn
from estab.api.hold import hold
from estab.lab.parts.scenario import Act, Figure, Played, Row, setting
from estab.lab.wire.spec import WireSpec
from estab.records import RunResult

CAUSE = None
SIDE = "none"
SYMPTOM = "none: everything is served"
SECONDS = 2.0
REMEDIES = ()
CONTROL = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    connections: int = setting(300, "connections to hold; a tenth of them ask and are answered")
    rtt_s: float = setting(0.01, "round-trip time")


def predict(s: Settings) -> dict[str, Figure]:
    """All of it."""
    return {"connected": s.connections, "accepted": s.connections, "failures": 0, "ghosts": 0}


def play(act: Act, s: Settings) -> Played:
    """Connections that are held."""
    with act.stage(WireSpec(rtt_s=s.rtt_s)) as stage:
        run = stage.run(
            stage.serve(),
            lambda progress: hold(stage.target, connections=s.connections, duration_s=0.3, progress=progress),
        )
    ghosts = run.ghosts.count if run.ghosts else None
    measured = {"connected": run.funnel.connected, "accepted": run.funnel.accepted, "ghosts": ghosts}
    return Played(run, measured | {"failures": len(run.failures)})


def more(act: Act, s: Settings) -> Iterator[Row]:
    """Requests, and short connections."""
    few = max(1, s.connections // 10)
    with act.stage(WireSpec(rtt_s=s.rtt_s)) as stage:
        run = stage.run(
            stage.serve(),
            lambda progress: bench(stage.target, connections=few, duration_s=0.5, progress=progress),
        )
        yield from _well("bench", run)
    with act.stage(WireSpec(rtt_s=s.rtt_s)) as stage:
        run = stage.run(
            stage.serve(),
            lambda progress: churn(stage.target, connections=few, duration_s=0.5, size_bytes=64, progress=progress),
        )
        yield from _well("churn", run)


def _well(what: str, run: RunResult) -> Iterator[Row]:
    accused = [one.cause for one in run.diagnosis.suspects if one.verdict == "confirmed"] if run.diagnosis else None
    yield Row(f"{what}: failures", 0, sum(one.count for one in run.failures))
    yield Row(f"{what}: accused", "nobody", ", ".join(accused) or "nobody" if accused is not None else None)
