"""`churn`: connect and close in a loop."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal, Self

from estab.api.asking import AskingRequest
from estab.api.execute import execute
from estab.api.recorder import ProgressCallback
from estab.api.request import DEFAULT_OPTIONS, Arrivals, ConfigValue, LoadOptions, check_arrivals
from estab.errors import UsageError
from estab.load.conductor import Stop
from estab.load.exchange import CLOSE
from estab.load.plan import ClientLoad
from estab.load.serving import Service
from estab.records import RunResult

Close = Literal["fin", "rst"]
End = Literal["client", "server"]


class ChurnRequest(AskingRequest, frozen=True, kw_only=True, tag_field="command", tag="churn"):
    """What is asked of `churn`, which says what each field means."""

    command: ClassVar[str] = "churn"

    connections: int = 100
    duration_s: float = 10.0
    attempts: int = 0
    rate_per_s: float | None = None
    arrivals: Arrivals = "poisson"
    close: Close = "fin"
    first_close: End = "client"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.attempts < 0:
            raise UsageError(f"`attempts` is {self.attempts}; it is 0 (no bound) or more")
        check_arrivals(self.rate_per_s, self.arrivals)
        if self.rate_per_s is None and self.arrivals == "constant":
            raise UsageError("`arrivals` needs an open loop: give `rate_per_s` too, or leave it out")
        if self.close not in ("fin", "rst"):
            raise UsageError(f"`close` is {self.close!r}; it can be fin or rst")
        if self.first_close not in ("client", "server"):
            raise UsageError(f"`first_close` is {self.first_close!r}; it can be client or server")

    @property
    def least_bytes(self) -> int:
        """A churn need not ask."""
        return 0

    def resolved(self, target: str | None) -> Self:
        """With the size that is asked for where none was given, and with who closes first where the reply says it."""
        request = super().resolved(target)
        if request.is_echo:
            default = 1 if target is None else 0
            return request if request.size_bytes is not None else request.replace(size_bytes=default)
        ends = request.exchange(target).reply == CLOSE
        return request.replace(first_close="server") if ends else request

    def client_load(self, options: LoadOptions, target: str | None) -> ClientLoad:
        """What the client workers are to do."""
        return ClientLoad(
            workload="churn",
            connections=self.connections,
            duration_s=self.duration_s,
            exchange=self.exchange(target, closes=self.first_close == "server"),
            rate_per_s=self.rate_per_s,
            arrivals=self.arrivals,
            attempts=self.attempts,
            reset=self.close == "rst",
            server_closes_first=self.first_close == "server",
            timeout_s=options.timeout_s,
            sources=options.sources,
            processes=options.processes,
        )

    def service(self, service: Service) -> Service:
        """The embedded server, which closes first where that is asked."""
        if self.first_close == "client" or service.close_after_bytes is not None:
            return service
        return replace(service, close_after_bytes=self.size_bytes)

    def config(self) -> dict[str, ConfigValue]:
        """What was asked; arrivals are those of an open loop."""
        return {**super().config(), "arrivals": None if self.rate_per_s is None else self.arrivals}


def churn(
    target: str | None = None,
    *,
    connections: int = 100,
    duration_s: float = 10.0,
    attempts: int = 0,
    size_bytes: int | None = None,
    http: str | None = None,
    request: bytes | None = None,
    until: bytes | None = None,
    reply_bytes: int | None = None,
    until_close: bool = False,
    rate_per_s: float | None = None,
    arrivals: Arrivals = "poisson",
    close: Close = "fin",
    first_close: End = "client",
    options: LoadOptions = DEFAULT_OPTIONS,
    stop: Stop | None = None,
    progress: ProgressCallback | None = None,
) -> RunResult:
    """Keeps `connections` slots busy for `duration_s` seconds: each connects, perhaps asks once, closes, and again.

    `size_bytes` 0 asks nothing; otherwise one request of that size is sent and its echo awaited. None is 0 with a
    `target`, and 1 beside the embedded server, which a client that does not wait for it would outrun. `http`, `request`
    and what ends its reply are those of `bench`: each connection asks once. `close` "fin" ends in order, "rst" at once
    and without TIME_WAIT. `first_close` says which end closes first, and so which end keeps the TIME_WAIT; "server"
    waits for the peer's FIN, which a request of `http` then asks for. `rate_per_s` makes it an open loop: so many
    connects a second begin when they are due, as `arrivals` says and as slots are free, and both latencies count from
    when they were due. `attempts` bounds the number of connects; 0 does not. A slot whose connect failed rests 10 ms.
    The other arguments are those of `bench`.
    """
    asked = ChurnRequest(
        connections=connections,
        duration_s=duration_s,
        attempts=attempts,
        size_bytes=size_bytes,
        http=http,
        request=request,
        until=until,
        reply_bytes=reply_bytes,
        until_close=until_close,
        rate_per_s=rate_per_s,
        arrivals=arrivals,
        close=close,
        first_close=first_close,
    )
    return execute(asked, target, options, stop=stop, progress=progress)
