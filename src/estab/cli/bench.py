"""`estab bench`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from estab.cli.load import run_load
from estab.cli.options import (
    DEFAULT_CLIENT,
    DEFAULT_EMBEDDED,
    DEFAULT_OUTPUT,
    ClientFlags,
    EmbeddedFlags,
    LoadFlags,
    OutputFlags,
)
from estab.cli.values import Bytes, Number, Seconds, Target, Whole
from estab.errors import UsageError


def bench(
    target: Target | None = None,
    /,
    *,
    connections: Annotated[Whole, Parameter(name=("--connections", "-c"))] = 100,
    duration: Annotated[Seconds, Parameter(name=("--duration", "-d"))] = 10.0,
    size: Annotated[Bytes, Parameter(name=("--size", "-s"))] = 64,
    mode: Literal["rr", "flood", "rate"] = "rr",
    depth: Whole = 1,
    rate: Number | None = None,
    arrivals: Literal["poisson", "constant"] = "poisson",
    find_rate: Annotated[str | None, Parameter(metavar="BOUND")] = None,
    client: ClientFlags = DEFAULT_CLIENT,
    embedded: EmbeddedFlags = DEFAULT_EMBEDDED,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Measure an echo server: requests a second, latency, and which limit was met.

    What comes back is verified byte for byte. Without TARGET it loads an echo server of its own on loopback.

    Example: estab bench 10.0.0.5:5000 -c 400 -s 1400 -d 30 --mode flood

    Parameters
    ----------
    target
        An echo server: HOST:PORT, [IPv6]:PORT, :PORT, a URL, or a program that listens here. Default: an embedded one
        on loopback.
    connections
        Connections, opened all at once.
    duration
        How long to ask, as 10, 500ms or 2m.
    size
        Bytes in a request, as 1400 or 64k.
    mode
        rr: the next request when one is answered. flood: write without waiting, count what comes back.
        rate: an open loop, --rate requests a second whatever becomes of those before; latency counts from when each was
        due, so that a stall shows in full.
    depth
        Requests in flight on each connection (rr).
    rate
        Requests a second (--mode rate).
    arrivals
        How requests come in an open loop: poisson (at random) or constant (evenly).
    find_rate
        Search for the highest rate of an open loop at which a percentile of the latency stays within a bound, as
        p99<5ms; each attempt lasts --duration, the first asks for --rate (default 1000).
    output.json
        Write the result as JSON to this file (estab.run/1; estab.rate/1 with --find-rate, estab.cluster/1 with
        --cluster); `-` is standard output, and nothing else is on it then.
    """
    from estab.api.bench import BenchRequest

    flags = LoadFlags(client, embedded, output)
    if find_rate is not None:
        from estab.cli.search import FIRST_PER_S
        from estab.cli.search import find_rate as search

        if mode == "flood" or depth != 1:
            raise UsageError("--find-rate is an open loop; leave out --mode flood and --depth")
        first = FIRST_PER_S if rate is None else rate
        request = BenchRequest(
            connections=connections,
            duration_s=duration,
            size_bytes=size,
            mode="rate",
            rate_per_s=first,
            arrivals=arrivals,
        )
        return search(target, find_rate, request, flags)
    request = BenchRequest(
        connections=connections,
        duration_s=duration,
        size_bytes=size,
        mode=mode,
        depth=depth,
        rate_per_s=rate,
        arrivals=arrivals,
    )
    return run_load(request, target, flags)
