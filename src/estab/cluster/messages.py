"""What the command and its workers say to each other. Plain data: it crosses versions of Python and of Dask.

Orders travel as bytes of JSON. Commands to a running task go by `inbox.deliver`; what it reports are events of a topic.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from estab.api.bench import BenchRequest
from estab.api.churn import ChurnRequest
from estab.api.hold import HoldRequest
from estab.api.request import DEFAULT_OPTIONS, LoadOptions
from estab.records import ServerSample, ServerSide, TimelinePoint
from estab.records.base import Record

Request = BenchRequest | HoldRequest | ChurnRequest

TOPIC = "estab"  # one for all runs: a topic's last events stay with the scheduler


class Order(Record, frozen=True, kw_only=True):
    """What a worker is to do: to load `target` as `request` says, or to watch it (the server's host).

    `run` names the run, `who` the worker. `live_every_s`: how often it says where it stands.
    """

    run: str
    who: str
    target: str
    request: Request | None = None
    options: LoadOptions = DEFAULT_OPTIONS
    live_every_s: float = 0.2


class Command(Record, frozen=True, kw_only=True):
    """A command to a running task: start (at `at_s` Unix time, by worker), hold, look, finish or stop."""

    run: str
    what: Literal["start", "hold", "look", "finish", "stop"]
    at_s: dict[str, float] = {}


class TaskEvent(Record, frozen=True, kw_only=True):
    """What a task reports. `what`: here (it lives), ready, live (where it stands), settled, or looked."""

    run: str
    who: str
    what: Literal["here", "ready", "live", "settled", "looked"]
    stage: str = ""
    point: TimelinePoint | None = None
    held: dict[str, int] | None = None


class TimedSample(Record, frozen=True, kw_only=True):
    """What the server's end showed at a moment, Unix time by its clock."""

    at_s: float
    seen: ServerSample


class Attended(Record, frozen=True, kw_only=True):
    """All that the worker on the server's host saw. `held`: connections at the server by the client's address."""

    server: ServerSide
    samples: list[TimedSample] = []
    held: dict[str, int] | None = None


class Generated(Record, frozen=True, kw_only=True):
    """What a generator returns: the run as JSON, when it began (Unix time, its clock), what it held by own address."""

    run: msgspec.Raw
    began_s: float | None = None
    held: dict[str, int] | None = None
