"""`Episodes`: what went wrong in a recording, each time with its clock times and with what happened next."""

from __future__ import annotations

from typing import Literal

from estab.records.base import Record
from estab.records.diagnosis import Diagnosis, Side, Suspect

EPISODES_SCHEMA = "estab.episodes/1"

# What came after the last interval that shows the cause. `going_on`: the recording ends in the midst of it.
Next = Literal["recovered", "restarted", "reloaded", "closed", "going_on"]


class Episode(Record, frozen=True, kw_only=True):
    """One cause at one place, from the last look before it to the last that shows it (Unix time).

    `place` is what `address` and `port` are: a listener of this host, a target that it connects to, or, where no one
    place is known, the host. `program` and `pid` are the listener's first owner, `service` its systemd unit, container
    or pod in words. `intervals`: how many pairs of adjacent snapshots show it. `drops` are the listener's own
    (sk_drops), `overflows` the rise of TcpExt.ListenOverflows and `attempt_fails` that of Tcp.AttemptFails, which are
    the whole namespace's; None: not observed. `deepest` of `room` waited in its accept queue at a look. `next` happened
    at `next_s`, and `next_pid` is the owner since. `suspect` is the verdict on the interval that shows most of it, from
    `shown_from_s` to `shown_to_s`: what its evidence says rose, did so within that.
    """

    cause: str
    side: Side
    from_s: float
    to_s: float
    host: str | None = None
    netns: str | None = None
    place: Literal["listener", "target", "host"] = "host"
    address: str | None = None
    port: int | None = None
    program: str | None = None
    pid: int | None = None
    service: str | None = None
    intervals: int = 1
    drops: int | None = None
    overflows: int | None = None
    attempt_fails: int | None = None
    deepest: int | None = None
    room: int | None = None
    next: Next = "going_on"
    next_s: float | None = None
    next_pid: int | None = None
    suspect: Suspect
    shown_from_s: float | None = None
    shown_to_s: float | None = None


class Episodes(Record, frozen=True, kw_only=True):
    """The verdict on a recording of several snapshots: each pair of adjacent ones judged, the oldest episode first.

    `intervals` were judged of `snapshots` from `from_s` to `to_s` (Unix time). `whole` is the verdict on what changed
    from the first to the last: it shows what is too slow for an interval.
    """

    schema: str = EPISODES_SCHEMA
    from_s: float
    to_s: float
    snapshots: int
    intervals: int
    episodes: list[Episode] = []
    whole: Diagnosis
