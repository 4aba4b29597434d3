"""`hold`: open many connections, keep them, close them."""

from __future__ import annotations

from collections.abc import Sequence

from estab.api.bench import NOWHERE
from estab.api.run import Asked, ProgressCallback, execute
from estab.load.conductor import SOLO, Barrier, Stop
from estab.load.plan import MOST_RATE, Load, at_least, check
from estab.load.serving import Service
from estab.records import RunResult

MOST_VISITORS = 20_000  # at once: as long as one may wait, at its rate


def hold(
    target: str | None = None,
    *,
    connections: int = 1000,
    duration_s: float = 5.0,
    ramp_per_s: float | None = None,
    in_flight: int = 1000,
    timeout_s: float = 3.0,
    reset: bool = False,
    trickle_per_s: float | None = None,
    size_bytes: int = 64,
    churn_per_s: float | None = None,
    sources: Sequence[str] = (),
    workers: int | None = None,
    service: Service | None = None,
    server_via: str | None = None,
    stop: Stop | None = None,
    progress: ProgressCallback | None = None,
    barrier: Barrier = SOLO,
) -> RunResult:
    """Opens `connections`, keeps them `duration_s` seconds once every connect is settled, and closes them.

    `ramp_per_s` spreads the connects over time; `in_flight` is how many are under way at once. A connection that the
    peer ends early is a failure. `trickle_per_s` sends so many requests of `size_bytes` a second over all of them, each
    connection in its turn, from when all are connected, and awaits their echoes; `open_loop` and the request latency
    tell how they fared. `churn_per_s` lets so many more connections come and go each second beside them from the start:
    what a server with long-lived clients sees; `visitors` tells how those fared, and the totals hold both.
    The other arguments are those of `bench`.
    """
    load = Load(
        workload="hold" if trickle_per_s is None else "rate",
        target=NOWHERE,
        connections=connections,
        duration_s=duration_s,
        size=0 if trickle_per_s is None else size_bytes,
        rate_per_s=trickle_per_s,
        until_told=True,
        timeout_s=timeout_s,
        in_flight=in_flight,
        ramp_per_s=ramp_per_s,
        reset=reset,
        sources=tuple(sources),
        workers=workers,
    )
    if trickle_per_s is not None:
        at_least("trickle (requests per second)", trickle_per_s, 0.001, MOST_RATE)
    check(load)
    if churn_per_s is not None:
        at_least("churn rate (connects per second)", churn_per_s, 0.001, 1e9)
    config = {
        "connections": connections,
        "duration_s": duration_s,
        "ramp_per_s": ramp_per_s,
        "trickle_per_s": trickle_per_s,
        "size_bytes": None if trickle_per_s is None else size_bytes,
        "churn_per_s": churn_per_s,
        "in_flight": min(in_flight, connections),
        "timeout_s": timeout_s,
        "reset": reset,
    }
    visitors = None if churn_per_s is None else _visitors(load, churn_per_s, embedded=target is None)
    asked = Asked("hold", load, config, hold_s=duration_s, server_via=server_via, visitors=visitors, barrier=barrier)
    return execute(asked, target=target, service=service or Service("echo"), stop=stop, progress=progress)


def _visitors(load: Load, per_s: float, *, embedded: bool) -> Load:
    """Those who come and go beside `load`. They ask once where the server would be outrun by clients that do not."""
    return Load(
        workload="churn",
        target=NOWHERE,
        connections=min(MOST_VISITORS, int(per_s * (load.timeout_s or 3.0)) + 16),
        duration_s=load.duration_s,
        size=1 if embedded else 0,
        rate_per_s=per_s,
        until_told=True,
        timeout_s=load.timeout_s,
        sources=load.sources,
    )
