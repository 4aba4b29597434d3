"""`estab hold`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

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
from estab.cli.values import Bytes, Flag, Number, Seconds, Target, Whole, seconds
from estab.errors import UsageError


def hold(
    target: Target | None = None,
    /,
    *,
    connections: Annotated[Whole | None, Parameter(name=("--connections", "-n"))] = None,
    duration: Annotated[Seconds | None, Parameter(name=("--duration", "-d"))] = None,
    ramp: Number | None = None,
    in_flight: Whole = 1000,
    trickle: Number | None = None,
    size: Annotated[Bytes | None, Parameter(name=("--size", "-s"))] = None,
    churn_rate: Number | None = None,
    gaps: Annotated[str | None, Parameter(metavar="TIMES")] = None,
    find_idle: Seconds | None = None,
    find_ceiling: Flag = False,
    reset: Flag = False,
    asked: AskedFlags = DEFAULT_ASKED,
    client: ClientFlags = DEFAULT_CLIENT,
    embedded: EmbeddedFlags = DEFAULT_EMBEDDED,
    output: ReportFlags = DEFAULT_REPORT,
) -> int:
    """Open many connections, hold them, close them: how many can I have?

    For loopback targets estab adds source addresses from 127.0.0.0/8 when one port range is too small, and processes
    when one has too few descriptors: `estab hold -n 60000` just works. A descriptor limit below 1,000 is left as it is:
    it may be what you are testing.

    Example: estab hold 10.0.0.5:5000 -n 60000 --ramp 5000 -d 30

    Parameters
    ----------
    target
        HOST:PORT, [IPv6]:PORT, :PORT, a URL, unix:/path, or the name of a program that listens on this host. Default:
        an embedded server on loopback.
    connections
        How many connections to hold. Default: 1000. With --gaps, of all gaps together; by default two for each. With
        --find-ceiling, the most to try; by default what fits in memory, up to 1,000,000.
    duration
        How long to hold them once every connect has succeeded or failed (10, 500ms, 2m). Default: 5s.
    ramp
        Connects per second. Default: as fast as possible.
    in_flight
        How many connects may be under way at once.
    trickle
        Requests per second over all held connections, in turn: do they still answer? Echoes, or what --http or
        --request asks for.
    size
        Size of a --trickle echo (64, 1k). Default: 64.
    churn_rate
        Connections per second that come and go beside the held ones, from the start.
    gaps
        Idle times, as 1s,5s,30s,60s: connections ask, rest for one of these and ask again, all at the same time. Which
        are still answered? What is asked is an echo, or what --http or --request says.
    find_idle
        Find for how long a connection may rest, up to this long (300s), before the server closes it or something on the
        way forgets it. It takes as long as that time, twice or three times over where it is only lost.
    find_ceiling
        Find the largest number that holds, and what limits it. Limits of estab's own side (source addresses, processes)
        are raised on the way. Connections are closed by RST; the search sets its own pace.
    reset
        Close by RST instead of FIN, which leaves no TIME_WAIT.
    output.json
        Write the result as JSON to this file (estab.run/1; estab.ceiling/1 with --find-ceiling, estab.idle/1 with
        --find-idle, estab.cluster/1 with --cluster); `-` is standard output, which then gets nothing else.
    """
    from estab.api.gaps import GapsRequest
    from estab.api.hold import DEFAULT_CONNECTIONS, DEFAULT_S, HoldRequest

    flags = LoadFlags(client, embedded, output)
    if find_ceiling:
        _alone("--find-ceiling", ramp=ramp, trickle=trickle, churn_rate=churn_rate, size=size, **vars(asked))
        _alone("--find-ceiling", gaps=gaps, find_idle=find_idle)
        from estab.cli.search import find_ceiling as search

        return search(target, connections, flags)
    if find_idle is not None:
        _without("--find-idle", duration=duration, ramp=ramp, trickle=trickle, churn_rate=churn_rate, gaps=gaps)
        from estab.cli.search import find_idle as search_idle

        return search_idle(target, find_idle, asked, size, flags)
    if gaps is not None:
        _without("--gaps", duration=duration, ramp=ramp, trickle=trickle, churn_rate=churn_rate)
        request_for_gaps = GapsRequest.of(
            idle_times(gaps), connections, size_bytes=size, **asked.parameters(), reset=reset
        )
        return run_load(request_for_gaps, target, flags)
    request = HoldRequest(
        connections=DEFAULT_CONNECTIONS if connections is None else connections,
        duration_s=DEFAULT_S if duration is None else duration,
        ramp_per_s=ramp,
        in_flight=in_flight,
        reset=reset,
        trickle_per_s=trickle,
        size_bytes=size,
        **asked.parameters(),
        churn_rate_per_s=churn_rate,
    )
    return run_load(request, target, flags)


def _alone(option: str, **others: float | str | None) -> None:
    if given := _given(others):
        raise UsageError(f"{option} chooses its own pace and asks nothing; leave out {given}")


def _without(option: str, **others: float | str | None) -> None:
    if given := _given(others):
        raise UsageError(f"{option} says how long it takes and what is asked when; leave out {given}")


def _given(options: Mapping[str, float | str | None]) -> str:
    return " and ".join(f"--{name.replace('_', '-')}" for name, value in options.items() if value not in (None, False))


def idle_times(text: str) -> tuple[float, ...]:
    """`1s,5s,500ms` in seconds. Raises UsageError."""
    try:
        return tuple(seconds(each) for each in text.split(","))
    except ValueError as error:
        raise UsageError(f"--gaps is {text!r}: {error}; several are written as 1s,5s,30s") from error
