"""What bench, churn and hold's trickle ask: an echo, a page of HTTP, or whatever another server answers."""

from __future__ import annotations

from typing import Self

from estab.api.request import ConfigValue, LoadRequest
from estab.errors import UsageError
from estab.load import exchange as exchanges
from estab.load.exchange import Exchange
from estab.load.plan import MOST_SIZE, check_range
from estab.load.target import Url, authority, url

DEFAULT_BYTES = 64  # of an echo, where nothing else was asked for
_ASKED = ("http", "request", "until", "reply_bytes", "until_close")
_MOST_SHOWN = 1024  # bytes of a request in a record; of a longer one its beginning, and its length
_TLS = frozenset({"https", "wss"})


class AskingRequest(LoadRequest, frozen=True, kw_only=True):
    """A load that may ask. Without `http` and `request` it asks for an echo of `size_bytes`.

    `http` is the path of a GET; a target that is a URL of http asks for its path. `request` is sent as it is, and one
    of these says where its reply ends: the bytes `until`, the number `reply_bytes`, or `until_close`, the peer's own
    end; a request of HTTP/1.1 needs none.
    """

    size_bytes: int | None = None
    http: str | None = None
    request: bytes | None = None
    until: bytes | None = None
    reply_bytes: int | None = None
    until_close: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.http is not None:
            exchanges.check_path(self.http, "http")
        if self.request is not None:
            self._raw(self.request)
        asked = "http" if self.http is not None else "request" if self.request is not None else None
        if self.http is not None and self.request is not None:
            raise UsageError("`http` and `request` both say what is asked: give one of them")
        if self.size_bytes is not None:
            check_range("size_bytes", self.size_bytes, self.least_bytes, MOST_SIZE)
            if asked is not None:
                raise UsageError(f"`size_bytes` is the size of an echo, and `{asked}` asks for none: leave it out")
        for name in ("until", "reply_bytes", "until_close"):
            if getattr(self, name) not in (None, False) and self.request is None:
                why = "HTTP says it by itself: leave it out" if self.http is not None else "give `request` too"
                raise UsageError(f"`{name}` says where the reply to a `request` ends; {why}")

    @property
    def least_bytes(self) -> int:
        """Of an echo; 0 where nothing may be asked."""
        return 1

    @property
    def asks(self) -> bool:
        """Whether this load asks at all."""
        return True

    @property
    def is_echo(self) -> bool:
        """Whether it is the echo of an echo server that is asked for."""
        return self.http is None and self.request is None

    def _raw(self, request: bytes) -> Exchange:
        return exchanges.raw(request, self.until, self.reply_bytes, until_close=self.until_close)

    def resolved(self, target: str | None) -> Self:
        """With the path of a URL, where that says what is asked. Raises UsageError for what can't be asked there."""
        if target is None and self.http is not None:
            raise UsageError("`http` needs a `target`: the embedded server echoes")
        place = None if target is None else url(target)
        if place is None or not self.asks:
            return self
        is_silent = self.is_echo and self.least_bytes == 0 and not self.size_bytes
        if place.scheme in _TLS and not is_silent:
            raise UsageError(_no_tls(target or "", place))
        if place.scheme != "http" or not self.is_echo or self.size_bytes == 0:
            return self
        if self.size_bytes:
            raise UsageError(
                f"`size_bytes` is the size of an echo, and `target` {target!r} asks for a page: leave it out, or give "
                "HOST:PORT"
            )
        exchanges.check_path(place.path, "target")
        return self.replace(http=place.path)

    def exchange(self, target: str | None, *, closes: bool = False) -> Exchange:
        """What is asked of `target`; `closes`: a server of HTTP is asked to close."""
        if self.http is not None:
            return exchanges.get(self.http, authority(target or ""), closes=closes)
        if self.request is not None:
            return self._raw(self.request)
        return exchanges.echo(self.size_bytes or 0)

    def config(self) -> dict[str, ConfigValue]:
        """What was asked, bytes as people type them; what was not is left out."""
        config = {name: value for name, value in super().config().items() if name not in _ASKED or value}
        if self.until is not None:
            config["until"] = exchanges.escape(self.until)
        if self.request is not None:
            config["request"] = exchanges.escape(self.request[:_MOST_SHOWN])
            if len(self.request) > _MOST_SHOWN:
                config["request_bytes"] = len(self.request)
        return config


def _no_tls(target: str, place: Url) -> str:
    return (
        f"`target` {target!r} is TLS, which estab does not speak: ask the plain HTTP behind it, or watch another tool "
        f"(estab run -- oha {place.scheme}://{place.authority}{place.path})"
    )
