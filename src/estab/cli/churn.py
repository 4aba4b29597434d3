"""`estab churn`."""

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
    client: ClientFlags = DEFAULT_CLIENT,
    embedded: EmbeddedFlags = DEFAULT_EMBEDDED,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Connect and close in a loop, as clients without a connection pool do.

    Example: estab churn 10.0.0.5:80 -c 200 -d 60 --timeout 500ms

    Parameters
    ----------
    target
        HOST:PORT, [IPv6]:PORT, :PORT, a URL, or the name of a program that listens here. Default: an
        embedded echo server on loopback.
    connections
        Connections in flight: so many loops run side by side.
    duration
        How long, as 10, 500ms or 2m.
    attempts
        Stop after so many connects; 0: only after the duration.
    size
        Send a request of so many bytes and await its echo before closing; 0: close at once. Default: 0 with a TARGET;
        1 beside the embedded server, which a client that does not wait for it would outrun.
    rate
        Connects a second, an open loop: each begins when it is due, if a slot is free (-c), and its latency counts from
        then. Default: the next as soon as one has closed.
    arrivals
        How connects come in an open loop: poisson (at random) or constant (evenly).
    close
        fin: in order. rst: at once, and without TIME_WAIT.
    first_close
        The end that closes first keeps the TIME_WAIT. server: wait for its FIN.
    output.json
        Write the result as JSON to this file (estab.run/1; estab.cluster/1 with --cluster); `-` is standard output, and
        nothing else is on it then.
    """
    from estab.api.churn import ChurnRequest

    request = ChurnRequest(
        connections=connections,
        duration_s=duration,
        attempts=attempts,
        size_bytes=size,
        rate_per_s=rate,
        arrivals=arrivals,
        close=close,
        first_close=first_close,
    )
    return run_load(request, target, LoadFlags(client, embedded, output))
