"""`bench`: many connections that ask and are answered, as fast as both ends go."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal, Self

from estab.api.asking import DEFAULT_BYTES, AskingRequest
from estab.api.execute import execute
from estab.api.recorder import ProgressCallback
from estab.api.request import DEFAULT_OPTIONS, Arrivals, ConfigValue, LoadOptions, check_arrivals
from estab.errors import UsageError
from estab.load.conductor import Stop
from estab.load.exchange import ECHO
from estab.load.plan import MOST_DEPTH, ClientLoad, check_range
from estab.records import RunResult

Mode = Literal["rr", "flood", "rate"]


class BenchRequest(AskingRequest, frozen=True, kw_only=True, tag_field="command", tag="bench"):
    """What is asked of `bench`, which says what each field means."""

    command: ClassVar[str] = "bench"

    connections: int = 100
    duration_s: float = 10.0
    mode: Mode = "rr"
    depth: int = 1
    rate_per_s: float | None = None
    arrivals: Arrivals = "poisson"

    def __post_init__(self) -> None:
        super().__post_init__()
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

    def resolved(self, target: str | None) -> Self:
        """With the size of an echo, where that is asked for and none was given."""
        request = super().resolved(target)
        if request.is_echo:
            return request if request.size_bytes is not None else request.replace(size_bytes=DEFAULT_BYTES)
        if request.until_close and (request.depth > 1 or request.mode == "flood"):
            several = "`mode` flood asks" if request.mode == "flood" else f"`depth` {request.depth} asks"
            raise UsageError(
                f"{several} again before the reply has come, and with `until_close` a connection has one reply: "
                "give more connections"
            )
        return request

    def client_load(self, options: LoadOptions, target: str | None) -> ClientLoad:
        """What the client workers are to do. Where the server may close, or fail, its connections are made anew."""
        exchange = self.exchange(target)
        return ClientLoad(
            workload=self.mode,
            connections=self.connections,
            duration_s=self.duration_s,
            exchange=replace(exchange, renews=exchange.reply != ECHO),
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
    size_bytes: int | None = None,
    http: str | None = None,
    request: bytes | None = None,
    until: bytes | None = None,
    reply_bytes: int | None = None,
    until_close: bool = False,
    mode: Mode = "rr",
    depth: int = 1,
    rate_per_s: float | None = None,
    arrivals: Arrivals = "poisson",
    options: LoadOptions = DEFAULT_OPTIONS,
    stop: Stop | None = None,
    progress: ProgressCallback | None = None,
) -> RunResult:
    """Opens `connections` to a server at once and asks for `duration_s` seconds.

    `target` is "HOST:PORT", or a URL; None: an embedded echo server on loopback. `size_bytes` (64) are sent and come
    back, verified byte for byte. `http` asks a server of HTTP for that path instead, as does a URL for its own: its
    replies are counted by status, and one of 400 or above is a failure at status. `request` asks any server: `until`
    gives the bytes that end a reply, `reply_bytes` says how many it has, `until_close` that the server closes; a
    request of HTTP/1.1 needs none of these. A connection of theirs that the server has closed is made anew.

    `mode` "rr" keeps `depth` requests in flight on each connection (HTTP's pipelining: replies come in the order of
    their requests); "flood" writes requests without waiting and counts what came back. "rate" is an open loop:
    `rate_per_s` requests a second begin when they are due, over whichever connection is free, and their latency counts
    from when they were due; `arrivals` come at random ("poisson") or evenly ("constant"), once all have connected.
    `options` are those that every load has. `progress` is called ten times a second; `stop` ends the load, and what was
    seen until then is returned.

    Raises UsageError for values that cannot be, MachineError for what this machine can't do. Failures of connections
    are no exceptions: they stand in the result.
    """
    asked = BenchRequest(
        connections=connections,
        duration_s=duration_s,
        size_bytes=size_bytes,
        http=http,
        request=request,
        until=until,
        reply_bytes=reply_bytes,
        until_close=until_close,
        mode=mode,
        depth=depth,
        rate_per_s=rate_per_s,
        arrivals=arrivals,
    )
    return execute(asked, target, options, stop=stop, progress=progress)
