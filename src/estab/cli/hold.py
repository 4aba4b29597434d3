"""`estab hold`."""

from __future__ import annotations

from typing import Annotated

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
from estab.cli.values import Bytes, Flag, Number, Seconds, Target, Whole
from estab.errors import UsageError

_SIZE = 64


def hold(
    target: Target | None = None,
    /,
    *,
    connections: Annotated[Whole | None, Parameter(name=("--connections", "-n"))] = None,
    duration: Annotated[Seconds, Parameter(name=("--duration", "-d"))] = 5.0,
    ramp: Number | None = None,
    in_flight: Whole = 1000,
    trickle: Number | None = None,
    size: Annotated[Bytes, Parameter(name=("--size", "-s"))] = _SIZE,
    churn_rate: Number | None = None,
    find_ceiling: Flag = False,
    reset: Flag = False,
    client: ClientFlags = DEFAULT_CLIENT,
    embedded: EmbeddedFlags = DEFAULT_EMBEDDED,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Open many connections, hold them, close them: how many can I have?

    Loopback targets get more source addresses out of 127.0.0.0/8 when one port range is too small, and more processes
    when one's descriptors are: `estab hold -n 60000` just works. A limit below 1,000 is taken for one under test.

    Example: estab hold 10.0.0.5:5000 -n 60000 --ramp 5000 -d 30

    Parameters
    ----------
    target
        HOST:PORT, [IPv6]:PORT, :PORT, a URL, or the name of a program that listens here. Default: an
        embedded server on loopback.
    connections
        How many connections to hold. Default: 1000; with --find-ceiling the most to try, by default as many as fit in
        memory, at most 1,000,000.
    duration
        How long to hold them once every connect is settled, as 10, 500ms or 2m.
    ramp
        Connects a second. Default: as fast as can be.
    in_flight
        Connects under way at once.
    trickle
        Requests a second over all held connections, each in its turn: do they still answer? Needs an echo server.
    size
        Bytes in such a request, as 64 or 1k.
    churn_rate
        Connections a second that come and go beside those that are held, from the start.
    find_ceiling
        Try ever more, until N hold and N + 1 do not, and say what sets N. A limit of our own side that can be moved
        (source addresses, processes) is moved, and the search goes on. Closes by RST; how long and how many at a time
        is its own choice.
    reset
        Close by RST instead of FIN: leaves no TIME_WAIT.
    output.json
        Write the result as JSON to this file (estab.run/1; estab.ceiling/1 with --find-ceiling, estab.cluster/1 with
        --cluster); `-` is standard output, and nothing else is on it then.
    """
    from estab.api.hold import HoldRequest

    flags = LoadFlags(client, embedded, output)
    if trickle is None and size != _SIZE:
        raise UsageError(f"--size is that of the requests of --trickle; give --trickle too, or leave out --size {size}")
    if find_ceiling:
        _alone("--find-ceiling", ramp=ramp, trickle=trickle, churn_rate=churn_rate)
        from estab.cli.search import find_ceiling as search

        return search(target, connections, flags)
    request = HoldRequest(
        connections=1000 if connections is None else connections,
        duration_s=duration,
        ramp_per_s=ramp,
        in_flight=in_flight,
        reset=reset,
        trickle_per_s=trickle,
        size_bytes=size,
        churn_rate_per_s=churn_rate,
    )
    return run_load(request, target, flags)


def _alone(option: str, **others: float | None) -> None:
    given = [f"--{name.replace('_', '-')}" for name, value in others.items() if value is not None]
    if given:
        raise UsageError(f"{option} chooses its own pace; leave out {' and '.join(given)}")
