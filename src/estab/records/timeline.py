"""A run over time: what the server's end showed at a moment, and where all stood then."""

from __future__ import annotations

from typing import Self

from estab.records.base import Record


class Spread(Record, frozen=True, kw_only=True):
    """Latency in microseconds of the `count` that ended within the last `over_s` seconds before this point."""

    over_s: float
    count: int
    p50: float
    p90: float
    p99: float
    max: float


class ServerSample(Record, frozen=True, kw_only=True):
    """The server's end at one moment; None: not observed.

    `queue_depth` is the sum over the target's listeners, `queue_limit` likewise. `listen_overflows` and `listen_drops`
    are deltas of the server's network namespace since the start, `listener_drops` of the listeners themselves.
    `server_fds`: the descriptors of the one of the server's processes that has most, for the limit is per process.
    `server_states`: the sockets at the server's port by state, as `ss` names it. They cost more, and are not in every
    sample.
    """

    queue_depth: int | None = None
    queue_limit: int | None = None
    listen_overflows: int | None = None
    listen_drops: int | None = None
    listener_drops: int | None = None
    server_fds: int | None = None
    server_states: dict[str, int] | None = None


class TimelinePoint(ServerSample, frozen=True, kw_only=True):
    """One sample, ten a second. Counts are totals since the start, `t_s` seconds since then; None: not observed.

    `client_fds`: the descriptors of the one client process that has most. `client_states`, not in every point: the
    sockets towards the target by state, as `ss` names it. `failures` are totals by phase and errno ("connect
    ETIMEDOUT").
    """

    t_s: float
    attempted: int
    connected: int
    first_byte: int
    completed: int
    failed: int
    open: int
    requests: int
    accepted: int | None = None
    time_wait: int | None = None
    client_fds: int | None = None
    failures: dict[str, int] | None = None
    client_states: dict[str, int] | None = None
    connect_us: Spread | None = None
    request_us: Spread | None = None

    def with_server(self, sample: ServerSample) -> Self:
        """The point with the server's end as `sample` shows it."""
        return self.replace(**{name: getattr(sample, name) for name in ServerSample.__struct_fields__})
