"""`hold`: open many connections, keep them, close them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from estab.api.asking import DEFAULT_BYTES, AskingRequest
from estab.api.execute import execute
from estab.api.gaps import GapsRequest
from estab.api.recorder import ProgressCallback
from estab.api.request import DEFAULT_OPTIONS, ConfigValue, LoadOptions
from estab.errors import UsageError
from estab.load.conductor import Stop
from estab.load.exchange import NOTHING, echo
from estab.load.plan import MOST_CONNECTIONS, MOST_RATE, ClientLoad, check_range
from estab.records import RunResult

DEFAULT_CONNECTIONS = 1000
DEFAULT_S = 5.0
MOST_VISITORS = 20_000  # at once: as long as one may wait, at its rate


class HoldRequest(AskingRequest, frozen=True, kw_only=True, tag_field="command", tag="hold"):
    """What is asked of `hold`, which says what each field means."""

    command: ClassVar[str] = "hold"

    connections: int = DEFAULT_CONNECTIONS
    duration_s: float = DEFAULT_S
    ramp_per_s: float | None = None
    in_flight: int = 1000
    reset: bool = False
    trickle_per_s: float | None = None
    churn_rate_per_s: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("in_flight", self.in_flight, 1, MOST_CONNECTIONS)
        for name, most in (("ramp_per_s", 1e9), ("trickle_per_s", MOST_RATE), ("churn_rate_per_s", 1e9)):
            if (value := getattr(self, name)) is not None:
                check_range(name, value, 0.001, most)
        for name in ("size_bytes", "http", "request"):
            if not self.asks and getattr(self, name) is not None:
                raise UsageError(f"`{name}` is what a trickle asks: give `trickle_per_s` too, or leave it out")
        if self.until_close:
            raise UsageError("`until_close` ends a connection with its first reply, and hold keeps them: use churn")

    @property
    def asks(self) -> bool:
        """A trickle does."""
        return self.trickle_per_s is not None

    @property
    def hold_s(self) -> float:
        """How long the connections are held once every connect is settled."""
        return self.duration_s

    def resolved(self, target: str | None) -> Self:
        """With the size of the trickle's echoes, where that is asked for and none was given."""
        request = super().resolved(target)
        is_open = request.asks and request.is_echo and request.size_bytes is None
        return request.replace(size_bytes=DEFAULT_BYTES) if is_open else request

    def client_load(self, options: LoadOptions, target: str | None) -> ClientLoad:
        """What the client workers are to do; a trickle is an open loop over the held connections."""
        return ClientLoad(
            workload="hold" if self.trickle_per_s is None else "rate",
            connections=self.connections,
            duration_s=self.duration_s,
            exchange=self.exchange(target) if self.asks else NOTHING,
            rate_per_s=self.trickle_per_s,
            until_told=True,
            timeout_s=options.timeout_s,
            in_flight=self.in_flight,
            ramp_per_s=self.ramp_per_s,
            reset=self.reset,
            sources=options.sources,
            processes=options.processes,
        )

    def visitors(self, options: LoadOptions, *, embedded: bool) -> ClientLoad | None:
        """Those who come and go. They ask once where the server would be outrun by clients that do not."""
        if self.churn_rate_per_s is None:
            return None
        return ClientLoad(
            workload="churn",
            connections=min(MOST_VISITORS, int(self.churn_rate_per_s * (options.timeout_s or 3.0)) + 16),
            duration_s=self.duration_s,
            exchange=echo(1 if embedded else 0),
            rate_per_s=self.churn_rate_per_s,
            until_told=True,
            timeout_s=options.timeout_s,
            sources=options.sources,
        )

    def config(self) -> dict[str, ConfigValue]:
        """What was asked; the size is that of the trickle's echoes."""
        return {**super().config(), "in_flight": min(self.in_flight, self.connections)}


def hold(
    target: str | None = None,
    *,
    connections: int | None = None,
    duration_s: float | None = None,
    ramp_per_s: float | None = None,
    in_flight: int = 1000,
    reset: bool = False,
    trickle_per_s: float | None = None,
    size_bytes: int | None = None,
    http: str | None = None,
    request: bytes | None = None,
    until: bytes | None = None,
    reply_bytes: int | None = None,
    churn_rate_per_s: float | None = None,
    gaps_s: Sequence[float] = (),
    options: LoadOptions = DEFAULT_OPTIONS,
    stop: Stop | None = None,
    progress: ProgressCallback | None = None,
) -> RunResult:
    """Opens `connections` (1,000), keeps them `duration_s` seconds (5) once every connect is settled, and closes them.

    `ramp_per_s` spreads the connects over time; `in_flight` is how many are under way at once. `reset` closes by RST. A
    connection that the peer ends early is a failure. `trickle_per_s` sends so many requests a second over
    all of them, each connection in its turn, from when all are connected, and awaits their replies: echoes of
    `size_bytes` (64), or what `http` or `request` asks for, as in `bench`; `open_loop` and the request latency tell how
    they fared. `churn_rate_per_s` lets so many more connections come and go each second
    beside them from the start: what a server with long-lived clients sees; `visitors` tells how those fared, and the
    totals hold both. The other arguments are those of `bench`.

    `gaps_s` are idle times: equally many connections (two) for each ask once, rest for so long and ask again, all at
    the same time, and go on so until the longest is over; `idle_gaps` tells what became of them. Nothing else than what
    is asked, `connections` and `reset` goes with it.
    """
    if gaps_s:
        _alone(
            duration_s=duration_s, ramp_per_s=ramp_per_s, trickle_per_s=trickle_per_s, churn_rate_per_s=churn_rate_per_s
        )
        gaps = GapsRequest.of(
            gaps_s, connections, size_bytes=size_bytes, http=http, request=request, until=until,
            reply_bytes=reply_bytes, reset=reset,
        )  # fmt: skip
        return execute(gaps, target, options, stop=stop, progress=progress)
    asked = HoldRequest(
        connections=DEFAULT_CONNECTIONS if connections is None else connections,
        duration_s=DEFAULT_S if duration_s is None else duration_s,
        ramp_per_s=ramp_per_s,
        in_flight=in_flight,
        reset=reset,
        trickle_per_s=trickle_per_s,
        size_bytes=size_bytes,
        http=http,
        request=request,
        until=until,
        reply_bytes=reply_bytes,
        churn_rate_per_s=churn_rate_per_s,
    )
    return execute(asked, target, options, stop=stop, progress=progress)


def _alone(**others: float | None) -> None:
    given = [f"`{name}`" for name, value in others.items() if value is not None]
    if given:
        raise UsageError(f"{given[0]} does not go with `gaps_s`, which say how long it takes and what is asked when")
