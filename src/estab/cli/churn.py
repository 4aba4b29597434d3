"""`estab churn`."""

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


def churn(
    target: Target | None = None,
    /,
    *,
    connections: Annotated[Whole, Parameter(name=("--connections", "-c"))] = 100,
    duration: Annotated[Seconds, Parameter(name=("--duration", "-d"))] = 10.0,
    attempts: Annotated[Whole, Parameter(name=("--attempts", "-n"))] = 0,
    size: Annotated[Bytes | None, Parameter(name=("--size", "-s"))] = None,
    rate: Number | None = None,
    arrivals: Literal["poisson", "constant"] = "poisson",
    close: Literal["fin", "rst"] = "fin",
    first_close: Literal["client", "server"] = "client",
    asked: AskedFlags = DEFAULT_ASKED,
    client: ClientFlags = DEFAULT_CLIENT,
    embedded: EmbeddedFlags = DEFAULT_EMBEDDED,
    output: ReportFlags = DEFAULT_REPORT,
) -> int:
    """Connect and close in a loop, like clients without a connection pool.

    Example: estab churn 10.0.0.5:80 -c 200 -d 60 --timeout 500ms

    Parameters
    ----------
    target
        HOST:PORT, [IPv6]:PORT, :PORT, a URL, unix:/path, or the name of a program that listens on this host. Default:
        an embedded echo server on loopback.
    connections
        How many connections at a time: each is a loop of its own.
    duration
        How long to run (10, 500ms, 2m).
    attempts
        Stop after this many connects; 0: only after the duration.
    size
        Send a request of this size and wait for its echo before closing; 0: close at once. Default: 0 with a TARGET
        that is no http:// URL; 1 with the embedded server, which clients that never wait would outrun.
    rate
        Connects per second, an open loop: each starts when it is due, if one of the -c slots is free, and its latency
        counts from then. Default: the next starts as soon as one has closed.
    arrivals
        How connects are spaced in an open loop: poisson (random) or constant (even).
    close
        fin: an orderly close. rst: an abrupt one, which leaves no TIME_WAIT.
    first_close
        Which end closes first, and so keeps the TIME_WAIT; server: wait for its FIN, which --http then asks for.
    output.json
        Write the result as JSON to this file (estab.run/1; estab.cluster/1 with --cluster); `-` is standard output,
        which then gets nothing else.
    """
    from estab.api.churn import ChurnRequest

    request = ChurnRequest(
        connections=connections,
        duration_s=duration,
        attempts=attempts,
        size_bytes=size,
        **asked.parameters(),
        rate_per_s=rate,
        arrivals=arrivals,
        close=close,
        first_close=first_close,
    )
    return run_load(request, target, LoadFlags(client, embedded, output))
