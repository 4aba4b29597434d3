"""`Limits`: the ladder of ceilings from a client to a server: every limit, its value, its use, and what it allows."""

from __future__ import annotations

from estab.records.base import Record
from estab.records.diagnosis import Side

LIMITS_SCHEMA = "estab.limits/1"


class Limit(Record, frozen=True, kw_only=True):
    """One limit. `value` and `used` are in the limit's own `unit`; `capacity_connections` is how many *more* it allows.

    `source` is where it was read; `raise_with` the command or setting that raises it; `restart` what must be restarted
    or called anew for that to take effect. `why_unknown` says why `capacity_connections` is None.
    """

    limit: str
    side: Side
    unit: str
    value: int | None = None
    used: int | None = None
    capacity_connections: int | None = None
    source: str
    raise_with: str | None = None
    restart: str | None = None
    note: str | None = None
    why_unknown: str | None = None


class RateLimit(Record, frozen=True, kw_only=True):
    """How many short connections a second a limit allows, under the rules that are in force."""

    limit: str
    side: Side
    per_second: float | None = None
    source: str
    raise_with: str | None = None
    note: str | None = None


class Limits(Record, frozen=True, kw_only=True):
    """The ladder, smallest capacity first; what is unknown comes last. `binding` is the first's name.

    `next_after` is what each raise leads to: [("client_open_files", 19984), ("ephemeral_ports", 28232), …].
    """

    schema: str = LIMITS_SCHEMA
    target: str | None = None
    limits: list[Limit]
    rates: list[RateLimit] = []
    binding: str | None = None
    next_after: list[tuple[str, int]] = []
    taken_at_s: float
    server_observed: bool = False
    why_server_unobserved: str | None = None
