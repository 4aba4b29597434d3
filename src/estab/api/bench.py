"""`bench`: many connections that ask and are answered, as fast as both ends go."""

from __future__ import annotations

from typing import ClassVar, Literal

from estab.api.execute import execute
from estab.api.recorder import ProgressCallback
from estab.api.request import DEFAULT_OPTIONS, Arrivals, ConfigValue, LoadOptions, LoadRequest, check_arrivals
from estab.errors import UsageError
from estab.load.conductor import Stop
from estab.load.plan import MOST_DEPTH, MOST_SIZE, ClientLoad, check_range
from estab.records import RunResult

Mode = Literal["rr", "flood", "rate"]


class BenchRequest(LoadRequest, frozen=True, kw_only=True, tag_field="command", tag="bench"):
    """What is asked of `bench`, which says what each field means."""

    command: ClassVar[str] = "bench"

    connections: int = 100
    duration_s: float = 10.0
    size_bytes: int = 64
    mode: Mode = "rr"
    depth: int = 1
    rate_per_s: float | None = None
    arrivals: Arrivals = "poisson"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("size_bytes", self.size_bytes, 1, MOST_SIZE)
        check_range("depth", self.depth, 1, MOST_DEPTH)
        check_arrivals(self.rate_per_s, self.arrivals)
        self._check_mode()

    def _check_mode(self) -> None:
        """Raises UsageError for a mode that there is not, and for what does not go with it."""
        if self.mode not in ("rr", "flood", "rate"):
            raise UsageError(f"`mode` is {self.mode!r}; it can be rr, flood or rate")
        if self.mode == "rate" and self.rate_per_s is None:
            raise UsageError("an open loop needs a rate: give `rate_per_s`, as 1000")
        if self.mode != "rate" and self.rate_per_s is not None:
            raise UsageError(
                f"a rate of {self.rate_per_s:g} goes with `mode` rate, not with {self.mode}, where answers set the "
                "pace: leave out `rate_per_s`, or change the mode"
            )
        if self.mode != "rate" and self.arrivals == "constant":
            raise UsageError(f"`arrivals` goes with `mode` rate, not {self.mode}: leave it out, or change the mode")
        if self.mode == "rate" and self.depth != 1:
            raise UsageError(
                f"`depth` is {self.depth}; in mode rate a connection has one request at a time: give more connections"
            )
        if self.mode == "flood" and self.depth != 1:
            raise UsageError(f"`depth` is {self.depth}; mode flood writes without waiting: leave it out")

    def client_load(self, options: LoadOptions) -> ClientLoad:
        """What the client workers are to do."""
        return ClientLoad(
            workload=self.mode,
            connections=self.connections,
            duration_s=self.duration_s,
            size=self.size_bytes,
            depth=self.depth,
            rate_per_s=self.rate_per_s,
            arrivals=self.arrivals,
            timeout_s=options.timeout_s,
            sources=options.sources,
            processes=options.processes,
        )

    def config(self) -> dict[str, ConfigValue]:
        """What was asked; arrivals are those of an open loop."""
        return {**super().config(), "arrivals": None if self.rate_per_s is None else self.arrivals}


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
    options: LoadOptions = DEFAULT_OPTIONS,
    stop: Stop | None = None,
    progress: ProgressCallback | None = None,
) -> RunResult:
    """Opens `connections` to an echo server at once and asks for `duration_s` seconds, `size_bytes` a request.

    `target` is "HOST:PORT"; None: an embedded server on loopback. `mode` "rr" keeps `depth` requests in flight on each
    connection; "flood" writes without waiting and counts what came back. "rate" is an open loop: `rate_per_s` requests
    a second begin when they are due, over whichever connection is free, and their latency counts from when they were
    due; `arrivals` come at random ("poisson") or evenly ("constant"), once all have connected. What is echoed is
    verified byte for byte. `options` are those that every load has. `progress` is called ten times a second; `stop`
    ends the load, and what was seen until then is returned.

    Raises UsageError for values that cannot be, MachineError for what this machine can't do. Failures of connections
    are no exceptions: they stand in the result.
    """
    request = BenchRequest(
        connections=connections,
        duration_s=duration_s,
        size_bytes=size_bytes,
        mode=mode,
        depth=depth,
        rate_per_s=rate_per_s,
        arrivals=arrivals,
    )
    return execute(request, target, options, stop=stop, progress=progress)
