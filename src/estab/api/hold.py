"""`hold`: open many connections, keep them, close them."""

from __future__ import annotations

from collections.abc import Sequence

from estab.api.bench import NOWHERE
from estab.api.run import Asked, ProgressCallback, execute
from estab.load.conductor import Stop
from estab.load.plan import Load, check
from estab.load.serving import Service
from estab.records import RunResult


def hold(
    target: str | None = None,
    *,
    connections: int = 1000,
    duration_s: float = 5.0,
    ramp_per_s: float | None = None,
    in_flight: int = 1000,
    timeout_s: float = 3.0,
    reset: bool = False,
    sources: Sequence[str] = (),
    workers: int | None = None,
    service: Service | None = None,
    server_via: str | None = None,
    stop: Stop | None = None,
    progress: ProgressCallback | None = None,
) -> RunResult:
    """Opens `connections`, keeps them `duration_s` seconds once every connect is settled, and closes them.

    `ramp_per_s` spreads the connects over time; `in_flight` is how many are under way at once. A connection that the
    peer ends early is a failure. The other arguments are those of `bench`.
    """
    load = Load(
        workload="hold",
        target=NOWHERE,
        connections=connections,
        duration_s=duration_s,
        timeout_s=timeout_s,
        in_flight=in_flight,
        ramp_per_s=ramp_per_s,
        reset=reset,
        sources=tuple(sources),
        workers=workers,
    )
    check(load)
    config = {
        "connections": connections,
        "duration_s": duration_s,
        "ramp_per_s": ramp_per_s,
        "in_flight": min(in_flight, connections),
        "timeout_s": timeout_s,
        "reset": reset,
    }
    asked = Asked("hold", load, config, hold_s=duration_s, server_via=server_via)
    return execute(asked, target=target, service=service or Service("echo"), stop=stop, progress=progress)
