"""`ClusterResult`: one load that many hosts carried together; `ClusterCheck`: what each of them could carry."""

from __future__ import annotations

from estab.records.base import Record
from estab.records.failure import Failure
from estab.records.limits import Limits
from estab.records.run import RunResult
from estab.records.timeline import TimelinePoint

CLUSTER_SCHEMA = "estab.cluster/1"
CLUSTER_CHECK_SCHEMA = "estab.cluster_check/1"


class Clock(Record, frozen=True, kw_only=True):
    """How far a host's clock is ahead of that of whoever asked, in milliseconds, and how far that may be off.

    It is the best of `samples` exchanges: half its round trip bounds the error (RFC 5905, section 8).
    """

    offset_ms: float
    uncertainty_ms: float
    samples: int


class ClusterHost(Record, frozen=True, kw_only=True):
    """What one host did. `address` is its Dask worker's, `connections` its share of those that were asked for.

    `start_skew_ms`: by how much it began later than agreed (negative: earlier), its clock's offset taken off where the
    offset was more than its uncertainty. `lost`: why there is no `run`; `last` is then what it had done when it was
    heard of last, and `failures` those that it had met.
    """

    address: str
    name: str
    connections: int
    clock: Clock
    start_skew_ms: float | None = None
    run: RunResult | None = None
    lost: str | None = None
    last: TimelinePoint | None = None
    failures: list[Failure] = []


class ClusterServer(Record, frozen=True, kw_only=True):
    """The worker on the server's host, which watched its end. `lost`: why what it saw is missing."""

    address: str
    name: str
    clock: Clock
    lost: str | None = None


class ClusterResult(Record, frozen=True, kw_only=True):
    """What a command did on many hosts. `total` is all of it as one run, judged with the server's end where seen.

    In `total`, counts are sums, histograms are merged exactly, and `client` holds every host's worker processes;
    `before` and `after` there are those of the host with most failures. `start_spread_ms` is from the first start to
    the last, `start_uncertainty_ms` how far that may be off. `idle`: workers that were not asked, and why.
    `scheduler_lost`: when and how the scheduler was lost.
    """

    schema: str = CLUSTER_SCHEMA
    scheduler: str
    hosts: list[ClusterHost]
    server: ClusterServer | None = None
    idle: dict[str, str] = {}
    total: RunResult
    start_spread_ms: float | None = None
    start_uncertainty_ms: float | None = None
    scheduler_lost: str | None = None
    interrupted: bool = False
    estab_version: str | None = None


class ClusterWorker(Record, frozen=True, kw_only=True):
    """One worker: what it is, and what its host could generate. `problem`: why it can't take part.

    `role` is generator, server (its resources name it), or idle (another worker of its host generates).
    `connections` is how many one target could be given from there, `binding` the limit that says so. `processes` is how
    many would carry them.
    """

    address: str
    name: str
    role: str
    problem: str | None = None
    estab_version: str | None = None
    python: str | None = None
    hostname: str | None = None
    kernel: str | None = None
    cores: int | None = None
    nofile_soft: int | None = None
    ports: int | None = None
    memory_available_bytes: int | None = None
    connections: int | None = None
    binding: str | None = None
    processes: int | None = None
    clock: Clock | None = None
    limits: Limits | None = None


class ClusterCheck(Record, frozen=True, kw_only=True):
    """Every worker of a cluster. `connections`: the sum over the generators; None where one did not say."""

    schema: str = CLUSTER_CHECK_SCHEMA
    scheduler: str
    workers: list[ClusterWorker]
    connections: int | None = None
    estab_version: str | None = None
