"""`estab bench`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from estab.cli.load import run_load
from estab.cli.options import (
    DEFAULT_ASKED,
    DEFAULT_CLIENT,
    DEFAULT_EMBEDDED,
    DEFAULT_REPORT,
    AskedFlags,
    ClientFlags,
    EmbeddedFlags,
    LoadFlags,
    ReportFlags,
)
from estab.cli.values import Bytes, Number, Seconds, Target, Whole
from estab.errors import UsageError


def bench(
    target: Target | None = None,
    /,
    *,
    connections: Annotated[Whole, Parameter(name=("--connections", "-c"))] = 100,
    duration: Annotated[Seconds, Parameter(name=("--duration", "-d"))] = 10.0,
    size: Annotated[Bytes | None, Parameter(name=("--size", "-s"))] = None,
    mode: Literal["rr", "flood", "rate"] = "rr",
    depth: Whole = 1,
    rate: Number | None = None,
    arrivals: Literal["poisson", "constant"] = "poisson",
    find_rate: Annotated[str | None, Parameter(metavar="BOUND")] = None,
    asked: AskedFlags = DEFAULT_ASKED,
    client: ClientFlags = DEFAULT_CLIENT,
    embedded: EmbeddedFlags = DEFAULT_EMBEDDED,
    output: ReportFlags = DEFAULT_REPORT,
) -> int:
    """Measure a server: requests per second, latency, and the limit that was met.

    An echo server by default, of which every byte of every reply is verified; with --http, --request or a URL any
    other. Without TARGET, estab starts an echo server on loopback and loads that.

    Example: estab bench http://10.0.0.5:8080/index.html -c 400 -d 30

    Parameters
    ----------
    target
        HOST:PORT, [IPv6]:PORT, :PORT, a URL, unix:/path, or the name of a program that listens on this host. Default:
        an embedded echo server on loopback.
    connections
        How many connections; all are opened at once.
    duration
        How long to run (10, 500ms, 2m).
    size
        Size of an echo request (1400, 64k). Default: 64.
    mode
        rr: send the next request when the last is answered. flood: write without waiting and count what comes back.
        rate: an open loop, --rate requests per second whether or not earlier ones were answered; latency counts from
        when a request was due, so a stall shows in full.
    depth
        Requests in flight on each connection (rr); of HTTP that is pipelining.
    rate
        Requests per second (--mode rate).
    arrivals
        How requests are spaced in an open loop: poisson (random) or constant (even).
    find_rate
        Find the highest rate at which a latency percentile stays within a bound (p99<5ms). Each attempt lasts
        --duration; the first is at --rate (default 1000).
    output.json
        Write the result as JSON to this file (estab.run/1; estab.rate/1 with --find-rate, estab.cluster/1 with
        --cluster); `-` is standard output, which then gets nothing else.
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
            **asked.parameters(),
            mode="rate",
            rate_per_s=first,
            arrivals=arrivals,
        )
        return search(target, find_rate, request, flags)
    request = BenchRequest(
        connections=connections,
        duration_s=duration,
        size_bytes=size,
        **asked.parameters(),
        mode=mode,
        depth=depth,
        rate_per_s=rate,
        arrivals=arrivals,
    )
    return run_load(request, target, flags)
