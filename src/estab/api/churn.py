"""`churn`: connect and close in a loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from estab.api.bench import NOWHERE, Arrivals
from estab.api.run import Asked, ProgressCallback, execute
from estab.errors import UsageError
from estab.load.conductor import SOLO, Barrier, Stop
from estab.load.plan import Load
from estab.load.serving import Service
from estab.records import RunResult

Close = Literal["fin", "rst"]
End = Literal["client", "server"]


def churn(
    target: str | None = None,
    *,
    connections: int = 100,
    duration_s: float = 10.0,
    attempts: int = 0,
    size_bytes: int | None = None,
    rate_per_s: float | None = None,
    arrivals: Arrivals = "poisson",
    timeout_s: float = 3.0,
    close: Close = "fin",
    first_close: End = "client",
    sources: Sequence[str] = (),
    workers: int | None = None,
    service: Service | None = None,
    server_via: str | None = None,
    stop: Stop | None = None,
    progress: ProgressCallback | None = None,
    barrier: Barrier = SOLO,
) -> RunResult:
    """Keeps `connections` slots busy for `duration_s` seconds: each connects, perhaps asks once, closes, and again.

    `size_bytes` 0 asks nothing; otherwise one request of that size is sent and its echo awaited. None is 0 with a
    `target`, and 1 beside the embedded server, which a client that does not wait for it would outrun. `close` "fin"
    ends in order, "rst" at once and without TIME_WAIT. `first_close` says which end closes first, and so which end
    keeps the TIME_WAIT; "server" waits for the peer's FIN. `timeout_s` bounds each wait: the connect, the answer, the
    FIN. `rate_per_s` makes it an open loop: so many connects a second begin when they are due, as `arrivals` says and
    as slots are free, and both latencies count from when they were due. `attempts` bounds the number of connects; 0
    does not. A slot whose connect failed rests 10 ms.
    The other arguments are those of `bench`.
    """
    if close not in ("fin", "rst"):
        raise UsageError(f"close is {close!r}; it can be fin or rst")
    if first_close not in ("client", "server"):
        raise UsageError(f"first close is {first_close!r}; it can be client or server")
    if attempts < 0:
        raise UsageError(f"attempts is {attempts}; it can be 0 (no bound) or more")
    if rate_per_s is None and arrivals == "constant":
        raise UsageError("arrivals are those of an open loop: give --rate too, or leave out --arrivals")
    if size_bytes is None:
        size_bytes = 1 if target is None else 0
    load = Load(
        workload="churn",
        target=NOWHERE,
        connections=connections,
        duration_s=duration_s,
        size=size_bytes,
        rate_per_s=rate_per_s,
        arrivals=arrivals,
        timeout_s=timeout_s,
        attempts=attempts,
        reset=close == "rst",
        server_closes_first=first_close == "server",
        sources=tuple(sources),
        workers=workers,
    )
    config = {
        "connections": connections,
        "duration_s": duration_s,
        "attempts": attempts,
        "size_bytes": size_bytes,
        "rate_per_s": rate_per_s,
        "arrivals": None if rate_per_s is None else arrivals,
        "timeout_s": timeout_s,
        "close": close,
        "first_close": first_close,
    }
    service = service or Service("echo")
    if first_close == "server" and service.close_after_bytes is None:
        service = replace(service, close_after_bytes=size_bytes)
    asked = Asked("churn", load, config, server_via=server_via, barrier=barrier)
    return execute(asked, target=target, service=service, stop=stop, progress=progress)
