"""`estab hold`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from estab.cli.options import DEFAULT_EMBEDDED, DEFAULT_OUTPUT, Embedded, Output
from estab.cli.show import JsonFile, finish, progress_on, stoppable
from estab.cli.values import Seconds


def hold(
    target: str | None = None,
    /,
    *,
    connections: Annotated[int, Parameter(name=("--connections", "-n"))] = 1000,
    duration: Annotated[Seconds, Parameter(name=("--duration", "-d"))] = 5.0,
    ramp: float | None = None,
    workers: int = 1000,
    timeout: Seconds = 3.0,
    reset: Annotated[bool, Parameter(negative="")] = False,
    source: Annotated[list[str] | None, Parameter(negative="")] = None,
    processes: int | None = None,
    server_via: str | None = None,
    embedded: Embedded = DEFAULT_EMBEDDED,
    output: Output = DEFAULT_OUTPUT,
) -> int:
    """Open many connections, hold them, close them: how many can I have?

    Loopback targets get more source addresses out of 127.0.0.0/8 when one port range is too small, and more processes
    when one's descriptors are: `estab hold -n 60000` just works. A limit below 1,000 is taken for one under test.

    Example: estab hold 10.0.0.5:5000 -n 60000 --ramp 5000 -d 30

    Parameters
    ----------
    target
        HOST:PORT or [IPv6]:PORT. Default: an embedded server on loopback.
    connections
        How many connections to hold.
    duration
        How long to hold them once every connect is settled, as 10, 500ms or 2m.
    ramp
        Connects a second. Default: as fast as can be.
    workers
        Connects under way at once.
    timeout
        Give up a connect after so long; 0 leaves it to the kernel (about two minutes).
    reset
        Close by RST instead of FIN: leaves no TIME_WAIT.
    source
        Local address to connect from; more than one takes them in turn.
    processes
        Client processes. Default: one a core, and as many more as descriptors need.
    server_via
        Command that prints snapshots of the server's host, so that its end is judged too:
        "ssh HOST estab observe --port {port}", nsenter, kubectl exec.
    """
    from estab.api.hold import hold as run_hold

    json_file = JsonFile(output.json)
    with stoppable() as stop, progress_on(output, connections) as progress:
        run = run_hold(
            target,
            connections=connections,
            duration_s=duration,
            ramp_per_s=ramp,
            in_flight=workers,
            timeout_s=timeout,
            reset=reset,
            sources=tuple(source or ()),
            workers=processes,
            service=embedded.service(target),
            server_via=server_via,
            stop=stop,
            progress=progress,
        )
    return finish(run, output, json_file)
