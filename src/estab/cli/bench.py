"""`estab bench`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from estab.cli.options import DEFAULT_EMBEDDED, DEFAULT_OUTPUT, Embedded, Output
from estab.cli.show import JsonFile, finish, progress_on, stoppable
from estab.cli.values import Bytes, Seconds


def bench(
    target: str | None = None,
    /,
    *,
    connections: Annotated[int, Parameter(name=("--connections", "-c"))] = 100,
    duration: Annotated[Seconds, Parameter(name=("--duration", "-d"))] = 10.0,
    size: Annotated[Bytes, Parameter(name=("--size", "-s"))] = 64,
    mode: Literal["rr", "flood"] = "rr",
    depth: int = 1,
    timeout: Seconds = 3.0,
    source: Annotated[list[str] | None, Parameter(negative="")] = None,
    processes: int | None = None,
    server_via: str | None = None,
    embedded: Embedded = DEFAULT_EMBEDDED,
    output: Output = DEFAULT_OUTPUT,
) -> int:
    """Measure an echo server: requests a second, latency, and which limit was met.

    What comes back is verified byte for byte. Without TARGET it loads an echo server of its own on loopback.

    Example: estab bench 10.0.0.5:5000 -c 400 -s 1400 -d 30 --mode flood

    Parameters
    ----------
    target
        HOST:PORT or [IPv6]:PORT of an echo server. Default: an embedded one on loopback.
    connections
        Connections, opened all at once.
    duration
        How long to ask, as 10, 500ms or 2m.
    size
        Bytes in a request, as 1400 or 64k.
    mode
        rr: the next request when one is answered. flood: write without waiting, count what comes back.
    depth
        Requests in flight on each connection (rr).
    timeout
        Give up a connect after so long; 0 leaves it to the kernel (about two minutes).
    source
        Local address to connect from; more than one takes them in turn.
    processes
        Client processes. Default: one a core (half of them beside an embedded server), and more where descriptors are
        too few for one.
    server_via
        Command that prints snapshots of the server's host, so that its end is judged too:
        "ssh HOST estab observe --port {port}", nsenter, kubectl exec.
    """
    from estab.api.bench import bench as run_bench

    json_file = JsonFile(output.json)
    with stoppable() as stop, progress_on(output, connections) as progress:
        run = run_bench(
            target,
            connections=connections,
            duration_s=duration,
            size_bytes=size,
            mode=mode,
            depth=depth,
            timeout_s=timeout,
            sources=tuple(source or ()),
            workers=processes,
            service=embedded.service(target),
            server_via=server_via,
            stop=stop,
            progress=progress,
        )
    return finish(run, output, json_file)
