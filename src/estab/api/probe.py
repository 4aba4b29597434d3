"""`probe`: a few connects, requests and pings that tell what is wrong on the way to a target. Nothing is loaded."""

from __future__ import annotations

from typing import ClassVar, Self

from estab.api.asking import AskingRequest
from estab.api.execute import execute
from estab.api.gaps import GapsRequest
from estab.api.recorder import ProgressCallback
from estab.api.request import ConfigValue, LoadOptions
from estab.errors import UsageError
from estab.kernel.formats.endpoint import is_unix
from estab.load.conductor import Stop
from estab.load.exchange import NOTHING, Exchange, check_path, get
from estab.load.plan import MOST_DURATION_S, ClientLoad, check_range
from estab.load.target import authority, url
from estab.records import RunResult

CONNECTS = 4
TIMEOUT_S = 2.5  # a SYN is sent again after a second
_PER_S = 4.0
_HELD_S = 1.0
_REQUESTS_PER_S = 8.0
_SHORTER = 8  # of an idle time: one so many times shorter rests beside it
_LEAST_IDLE_S = 0.1
_HTTP_BYTES = 2000  # below the 8,190 that servers take for a header


class ProbeRequest(AskingRequest, frozen=True, kw_only=True, tag_field="command", tag="probe"):
    """What is asked of `probe`, which says what each field means."""

    command: ClassVar[str] = "probe"
    is_probe: ClassVar[bool] = True

    connections: int = CONNECTS
    duration_s: float = _HELD_S
    idle_s: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.idle_s is not None:
            check_range("idle_s", self.idle_s, _LEAST_IDLE_S, MOST_DURATION_S)
        if self.until_close:
            raise UsageError(
                "`until_close` ends a connection with its first reply, and a probe keeps some: leave it out"
            )

    @property
    def asks(self) -> bool:
        """Whether a request is sent at all."""
        return self.idle_s is not None or not self.is_echo or self.size_bytes is not None

    @property
    def hold_s(self) -> float | None:
        """How long its connections are held; None: until all have rested."""
        return None if self.idle_s is not None else self.duration_s

    def resolved(self, target: str | None) -> Self:
        """With the path of a URL as what is asked."""
        if target is None:
            raise UsageError("`target` is what is probed: give it")
        if is_unix(target):
            raise UsageError(f"a probe is of a path, and {target} is a UNIX socket: estab hold {target} tries it")
        place = url(target)
        if place is not None and place.scheme == "http" and not self.asks:
            check_path(place.path, "target")
            return self.replace(http=place.path)
        return super().resolved(target)

    def client_load(self, options: LoadOptions, target: str | None) -> ClientLoad:
        """Connects one after the other, kept for a second; a few requests over them where something is asked."""
        if self.idle_s is not None:
            return self._resting(self.idle_s).client_load(options, target)
        return ClientLoad(
            workload="rate" if self.asks else "hold",
            connections=self.connections,
            duration_s=self.duration_s,
            exchange=self.exchange(target) if self.asks else NOTHING,
            rate_per_s=_REQUESTS_PER_S if self.asks else None,
            arrivals="constant",
            until_told=True,
            timeout_s=options.timeout_s,
            ramp_per_s=_PER_S,
            sources=options.sources,
            processes=1,
        )

    def exchange(self, target: str | None, *, closes: bool = False) -> Exchange:
        """What is asked. A request of HTTP is made longer than a segment, so that it shows whether big ones pass."""
        if self.http is not None:
            return get(self.http, authority(target or ""), closes=closes, least_bytes=_HTTP_BYTES)
        return super().exchange(target, closes=closes)

    def _resting(self, idle_s: float) -> GapsRequest:
        return GapsRequest.of(
            (idle_s / _SHORTER, idle_s), self.connections, size_bytes=self.size_bytes, http=self.http,
            request=self.request, until=self.until, reply_bytes=self.reply_bytes,
        ).resolved("")  # fmt: skip

    def config(self) -> dict[str, ConfigValue]:
        """What was asked; its connects and times are always the same."""
        return {key: value for key, value in super().config().items() if key not in ("connections", "duration_s")}


def probe(
    target: str,
    *,
    port_beside: int | None = None,
    size_bytes: int | None = None,
    http: str | None = None,
    request: bytes | None = None,
    until: bytes | None = None,
    reply_bytes: int | None = None,
    idle_s: float | None = None,
    timeout_s: float = TIMEOUT_S,
    sources: tuple[str, ...] = (),
    server_via: str | None = None,
    stop: Stop | None = None,
    progress: ProgressCallback | None = None,
) -> RunResult:
    """Tries the way to `target` by a few probes, and judges what they tell. At most 99 connects in 30 s, no load.

    Four connects, a quarter of a second apart; two to another port of its host (`port_beside`; None: the next one), and
    a ping where this host permits it; one from each of 60 local ports, of which those that fail are tried again; one to
    each address of its name. An echo of `size_bytes`, or what else is asked as in `bench`, is asked for a few times; if
    big requests or replies are lost, the size is found from which on they are. `idle_s`: connections rest so long and
    ask again, which comes on top of the 30 s. None needs root. `probes`, `size_probe` and `idle_gaps` tell what came.
    Raises as `hold` does.
    """
    asked = ProbeRequest(
        size_bytes=size_bytes, http=http, request=request, until=until, reply_bytes=reply_bytes, idle_s=idle_s
    )
    options = LoadOptions(
        timeout_s=timeout_s, sources=sources, server_via=server_via, probe=True, port_beside=port_beside
    )
    return execute(asked, target, options, stop=stop, progress=progress)
