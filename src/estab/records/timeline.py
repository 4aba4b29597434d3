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


class OwnerSample(Record, frozen=True, kw_only=True):
    """A process that owns a listener of the target, at one moment.

    `states` counts its threads by the letter of proc_pid_stat(5) (R, S, D, T, ...). `ran_share` and `waited_share` are
    of the thread that ran most since the look before: the parts of one core in which it ran, and in which it could have
    run and waited for a core, 0 to 1.
    """

    pid: int
    states: dict[str, int]
    ran_share: float | None = None
    waited_share: float | None = None


class ServerSample(Record, frozen=True, kw_only=True):
    """The server's end at one moment; None: not observed.

    `queue_depth` is the sum over the target's listeners, `queue_limit` likewise; `queue_depths`: where there are
    several, the depth of each in which something waits, by inode. `listen_overflows`, `listen_drops`, `passive_opens`,
    `attempt_fails` and `estab_resets` are deltas of the server's network namespace since the start, `listener_drops` of
    the listeners themselves; `curr_estab` is how many connections the namespace has (Tcp.CurrEstab).
    `server_fds`: the descriptors of the one of the server's processes that has most, for the limit is per process.

    What costs more is not in every sample: `server_states`, the sockets at the server's port by state, as `ss` names
    it; `server_held`, how many of these have been accepted (they have an inode); `owners`, the listeners' processes.
    """

    queue_depth: int | None = None
    queue_limit: int | None = None
    queue_depths: dict[str, int] | None = None
    listen_overflows: int | None = None
    listen_drops: int | None = None
    listener_drops: int | None = None
    passive_opens: int | None = None
    curr_estab: int | None = None
    attempt_fails: int | None = None
    estab_resets: int | None = None
    server_fds: int | None = None
    server_states: dict[str, int] | None = None
    server_held: int | None = None
    owners: list[OwnerSample] | None = None


class ServerLook(ServerSample, frozen=True, kw_only=True):
    """The server's end at one of the few looks of a command that prints snapshots; `t_s`: seconds since the first.

    `load_open`: the connections of the run had been made, and none was closed yet.
    """

    t_s: float
    load_open: bool = False


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
