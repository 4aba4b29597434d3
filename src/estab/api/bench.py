"""`bench`: many connections that ask and are answered, as fast as both ends go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from estab.api.run import Asked, ProgressCallback, execute
from estab.errors import UsageError
from estab.load.conductor import SOLO, Barrier, Stop
from estab.load.plan import Load
from estab.load.serving import Service
from estab.records import RunResult

NOWHERE = ("", 0, 0)  # until the target is known
Mode = Literal["rr", "flood", "rate"]
Arrivals = Literal["poisson", "constant"]


def bench(
    target: str | None = None,
    *,
    connections: int = 100,
    duration_s: float = 10.0,
    size_bytes: int = 64,
    mode: Mode = "rr",
    depth: int = 1,
    rate_per_s: float | None = None,
    arrivals: Arrivals = "poisson",
    timeout_s: float = 3.0,
    sources: Sequence[str] = (),
    workers: int | None = None,
    service: Service | None = None,
    server_via: str | None = None,
    stop: Stop | None = None,
    progress: ProgressCallback | None = None,
    barrier: Barrier = SOLO,
) -> RunResult:
    """Opens `connections` to an echo server at once and asks for `duration_s` seconds, `size_bytes` a request.

    `target` is "HOST:PORT"; None: an embedded server on loopback, as `service` says. `mode` "rr" keeps `depth`
    requests in flight on each connection; "flood" writes without waiting and counts what came back. "rate" is an open
    loop: `rate_per_s` requests a second begin when they are due, over whichever connection is free, and their latency
    counts from when they were due; `arrivals` come at random ("poisson") or evenly ("constant"), once all have
    connected. What is echoed is verified byte for byte. `timeout_s` bounds each connect, and each silence while an
    answer is due; 0 leaves connects to the kernel, and bounds no silence before the end. `sources` are local addresses
    to connect from in turn. `server_via` is a command that prints snapshots of the server's host (as "ssh HOST estab
    observe --port {port}"), so that its end is judged too. `barrier` is what is agreed with other hosts, where the load
    is one of several.

    Raises UsageError for values that cannot be, MachineError for what this machine can't do. Failures of connections
    are no exceptions: they stand in the result.
    """
    _check(mode, depth, rate_per_s, arrivals)
    load = Load(
        workload=mode,
        target=NOWHERE,
        connections=connections,
        duration_s=duration_s,
        size=size_bytes,
        depth=depth,
        rate_per_s=rate_per_s,
        arrivals=arrivals,
        timeout_s=timeout_s,
        sources=tuple(sources),
        workers=workers,
    )
    config = {
        "mode": mode,
        "connections": connections,
        "duration_s": duration_s,
        "size_bytes": size_bytes,
        "depth": depth,
        "rate_per_s": rate_per_s,
        "arrivals": None if rate_per_s is None else arrivals,
        "timeout_s": timeout_s,
    }
    asked = Asked("bench", load, config, server_via=server_via, barrier=barrier)
    return execute(asked, target=target, service=service or Service("echo"), stop=stop, progress=progress)


def _check(mode: str, depth: int, rate_per_s: float | None, arrivals: str) -> None:
    """Raises UsageError for a mode that there is not, and for what does not go with it."""
    if mode not in ("rr", "flood", "rate"):
        raise UsageError(f"mode is {mode!r}; it can be rr, flood or rate")
    if mode != "rate" and rate_per_s is not None:
        raise UsageError(
            f"a rate of {rate_per_s:g} goes with mode rate, not with {mode}, where answers set the pace: "
            "give --mode rate, or leave out --rate"
        )
    if mode != "rate" and arrivals == "constant":
        raise UsageError(f"arrivals are those of mode rate, not of {mode}: give --mode rate, or leave out --arrivals")
    if mode == "rate" and depth != 1:
        raise UsageError(
            f"depth is {depth}; in mode rate a connection has one request at a time: give more connections"
        )
    if mode == "flood" and depth != 1:
        raise UsageError(f"depth is {depth}; mode flood writes without waiting, and has none: leave out --depth")
