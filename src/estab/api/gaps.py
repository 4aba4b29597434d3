"""`hold` with gaps: connections rest for so long and ask again, all at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from estab.api.asking import DEFAULT_BYTES, AskingRequest
from estab.api.request import ConfigValue, LoadOptions
from estab.errors import UsageError
from estab.load.block import MOST_GAPS
from estab.load.plan import MOST_DURATION_S, MOST_RESTING, ClientLoad, check_range

EACH = 2  # connections for each gap: what ends both is no chance
_LEAST_S = 0.001
_APART_S = 0.5  # from the start of one to that of the next, so that one moment is no age; less where gaps are short
_ALL_WITHIN_S = 4.0  # from the start of the first to that of the last


class GapsRequest(AskingRequest, frozen=True, kw_only=True, tag_field="command", tag="gaps"):
    """Equally many connections rest for each of `gaps_s`, ascending, until all have.

    `most_lost`: or until so many were asked in vain after their rest; 0: no bound. `duration_s` is the longest rest.
    What else there is to ask `hold` says.
    """

    command: ClassVar[str] = "hold"

    gaps_s: tuple[float, ...]
    reset: bool = False
    most_lost: int = 0

    @classmethod
    def of(
        cls,
        gaps_s: Sequence[float],
        connections: int | None = None,
        *,
        size_bytes: int | None = None,
        http: str | None = None,
        request: bytes | None = None,
        until: bytes | None = None,
        reply_bytes: int | None = None,
        until_close: bool = False,
        reset: bool = False,
        most_lost: int = 0,
    ) -> Self:
        """With each gap once, and two connections for each where their number is not given."""
        gaps = tuple(sorted(set(gaps_s)))
        for gap_s in gaps:
            check_range("gaps_s", gap_s, _LEAST_S, MOST_DURATION_S)
        return cls(
            gaps_s=gaps,
            connections=EACH * len(gaps) if connections is None else connections,
            duration_s=max(gaps, default=_LEAST_S),
            size_bytes=size_bytes,
            http=http,
            request=request,
            until=until,
            reply_bytes=reply_bytes,
            until_close=until_close,
            reset=reset,
            most_lost=most_lost,
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= len(self.gaps_s) <= MOST_GAPS:
            raise UsageError(f"`gaps_s` has {len(self.gaps_s)} times, out of range (1 to {MOST_GAPS})")
        if not len(self.gaps_s) <= self.connections <= MOST_RESTING:
            raise UsageError(
                f"`connections` is {self.connections:,}, out of range ({len(self.gaps_s)} to {MOST_RESTING:,}: "
                "at least one for each of `gaps_s`)"
            )
        if self.until_close:
            raise UsageError("`until_close` ends a connection with its first reply: with `gaps_s` it is to go on")

    def resolved(self, target: str | None) -> Self:
        """With the size of its echoes, where echoes are asked for and none was given."""
        request = super().resolved(target)
        is_open = request.is_echo and request.size_bytes is None
        return request.replace(size_bytes=DEFAULT_BYTES) if is_open else request

    def client_load(self, options: LoadOptions, target: str | None) -> ClientLoad:
        """What the one client worker is to do. Those that rest least begin: they outlive all that rest longer."""
        if options.timeout_s == 0:
            raise UsageError("`timeout_s` is 0: with `gaps_s` a bound is needed, for silence is one of the answers")
        if options.processes not in (None, 1):
            raise UsageError("`processes` is more than 1: one looks after all that rest for `gaps_s`")
        apart_s = min(_APART_S, _ALL_WITHIN_S / self.connections, self.duration_s / (4 * self.connections))
        return ClientLoad(
            workload="rest",
            connections=self.connections,
            duration_s=self.duration_s,
            exchange=self.exchange(target),
            until_told=True,
            timeout_s=options.timeout_s,
            ramp_per_s=1 / apart_s,
            reset=self.reset,
            sources=options.sources,
            gaps_s=self.gaps_s,
            most_lost=self.most_lost,
        )

    def config(self) -> dict[str, ConfigValue]:
        """What was asked, the gaps as people type them."""
        return {**super().config(), "gaps_s": ",".join(f"{gap_s:g}" for gap_s in self.gaps_s)}
