"""`twin`: reads a record, has it rebuilt in a process of its own, and collects what that says."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from estab import __version__
from estab.api.files import diagnose, named, read_record
from estab.errors import ReadError
from estab.lab.run.collector import Collector
from estab.lab.run.session import play
from estab.lab.twin import from_snapshots
from estab.lab.twin.overrides import Given
from estab.lab.twin.plan import Planned, plan
from estab.lab.twin.scaling import scaled
from estab.load.conductor import Stop
from estab.records import RunResult, Snapshot, encode
from estab.records.twin import TwinResult


def twin(
    file: str | Path,
    *,
    scale: float = 1.0,
    connections: int | None = None,
    rtt_s: float | None = None,
    record: RunResult | list[Snapshot] | None = None,
    stop: Stop | None = None,
    told: Callable[[str], None] | None = None,
) -> TwinResult:
    """Rebuilds the failure that `file` holds, a run (estab.run/1) or snapshots, and tries each remedy of its verdict.

    `scale` multiplies the connections and every bound alike. `connections` and `rtt_s` (seconds) are what the record
    does not tell: snapshots hold no load. `told(stage)` hears of each stage. On `stop` what was seen so far is
    returned, with `interrupted`. `record` is what `file` holds, for who has read it already; else it is read here.

    Raises ReadError for a file of which nothing can be rebuilt, UsageError for a scale, a number or a time that cannot
    be, MachineError where this machine allows no namespaces.
    """
    given = Given(connections, rtt_s)
    what, planned, cause = _recorded(file, read_record(file) if record is None else record)
    scaled(given.on(planned).setup, scale)  # what can't be is said before a process is started
    order = {"file": named(file), "scale": scale, "given": asdict(given), **what}
    began = time.monotonic()
    collector = _Collector(told or (lambda _stage: None))
    interrupted = play("estab.lab.twin.worker", order, collector, stop)
    result = collector.result or TwinResult(file=named(file), scale=scale, recorded_cause=cause)
    return result.replace(
        kernel=platform.release(),
        euid=os.geteuid(),
        seconds=round(time.monotonic() - began, 1),
        interrupted=interrupted,
        estab_version=__version__,
    )


def _recorded(file: str | Path, found: RunResult | list[Snapshot]) -> tuple[dict[str, Any], Planned, str | None]:
    """What the hand is told of it, its twin, and its cause. Raises ReadError that says what is missing."""
    try:
        if isinstance(found, RunResult):
            run = diagnose(found)  # by this version's judge
            told = {"run": encode(run).decode(), "snapshots": []}
            return told, plan(run), run.cause
        seen = from_snapshots.moments(found)
        ends = [one for one in (seen.before, seen.after) if one is not None]
        told = {"run": "", "snapshots": [encode(one).decode() for one in ends]}
        return told, from_snapshots.plan(seen), seen.diagnosis.cause
    except ReadError as error:
        raise ReadError(f"{named(file)}: {error}") from error


class _Collector(Collector):
    def __init__(self, told: Callable[[str], None]) -> None:
        super().__init__(lambda _name, stage: told(stage), lambda _scenario: None)
        self.result: TwinResult | None = None

    def hear(self, line: bytes) -> None:
        """One event of the hand's. Raises what it could not go on from."""
        event: dict[str, Any] = json.loads(line)
        if "twin" in event:
            self.result = msgspec.convert(event["twin"], TwinResult)
        else:
            super().hear(line)
