"""`PageSubject`: one thing that a report is about: a run, or snapshots, with all that was given beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from estab.kernel.formats.captures import Syn
from estab.records import Diagnosis, Episodes, HostFacts, Limits, RunResult, Snapshot
from estab.records.lab import LabResult
from estab.records.twin import TwinResult

MOST_CLOSE = 3  # episodes whose close looks are drawn


@dataclass(frozen=True)
class PageSubject:
    """A run or a series of snapshots. `title`: a short name, mostly the file's. `source`: the record, as it was read.

    `snapshots` are those that are drawn, `last` is the last one that was taken, whole. `episodes`: what several show,
    interval by interval; so many `other_namespaces` were recorded beside the one that is drawn.
    `close`: the close looks at some of the episodes, drawn apart.
    `limits`: the ladder as it stood when the run began. `syns`: those of a capture of this run.
    """

    title: str
    diagnosis: Diagnosis
    run: RunResult | None = None
    snapshots: Sequence[Snapshot] = ()
    last: Snapshot | None = None
    episodes: Episodes | None = None
    other_namespaces: int = 0
    close: Sequence[Sequence[Snapshot]] = ()
    limits: Limits | None = None
    twin: TwinResult | None = None
    syns: Sequence[Syn] = ()
    source: bytes = b""

    @property
    def host(self) -> HostFacts:
        """The host that it was recorded on."""
        if self.run is not None:
            return self.run.host
        return self.last.host if self.last is not None else HostFacts()

    @property
    def failed(self) -> bool:
        """Whether anything failed that wants a cause."""
        return self.run is not None and bool(self.run.failures)


@dataclass(frozen=True)
class Capture:
    """A capture file that the page carries for download. `data` None: it was too large to be carried."""

    name: str
    size: int
    data: bytes | None


@dataclass(frozen=True)
class Material:
    """All that one report is made of."""

    subjects: Sequence[PageSubject] = ()
    labs: Sequence[tuple[str, LabResult]] = ()
    captures: Sequence[Capture] = ()
    notes: Sequence[str] = ()
