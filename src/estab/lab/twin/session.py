"""`twin`: reads a record, has it rebuilt in a process of its own, and collects what that says."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from estab import __version__
from estab.api.files import diagnose, named, read_record
from estab.errors import ReadError
from estab.lab.process.launch import Event, run_worker
from estab.lab.stage.scaling import scaled
from estab.lab.twin import from_snapshots
from estab.lab.twin.overrides import Overrides
from estab.lab.twin.plan import Planned, plan
from estab.load.conductor import Stop
from estab.records import RunResult, Snapshot, encode, from_builtins
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
    overrides = Overrides(connections, rtt_s)
    what, planned, cause = _recorded(file, read_record(file) if record is None else record)
    scaled(overrides.on(planned).setup, scale)  # what can't be is said before a process is started
    order = {"file": named(file), "scale": scale, "overrides": asdict(overrides), **what}
    began = time.monotonic()
    result = TwinResult(file=named(file), scale=scale, recorded_cause=cause)

    def hear(event: Event) -> bool:
        nonlocal result
        if "twin" in event:
            result = from_builtins(event["twin"], TwinResult)
        elif told is not None:
            told(event["stage"][1])
        return False

    interrupted = run_worker("estab.lab.twin.worker", order, hear, stop)
    return result.replace(
        kernel=platform.release(),
        euid=os.geteuid(),
        seconds=round(time.monotonic() - began, 1),
        interrupted=interrupted,
        estab_version=__version__,
    )


def _recorded(file: str | Path, record: RunResult | list[Snapshot]) -> tuple[dict[str, Any], Planned, str | None]:
    """What the worker is told of it, its twin, and its cause. Raises ReadError that says what is missing."""
    try:
        if isinstance(record, RunResult):
            run = diagnose(record)  # by this version's judge
            return {"run": encode(run).decode(), "snapshots": []}, plan(run), run.cause
        pair = from_snapshots.judged(record)
        snapshots = [encode(snapshot).decode() for snapshot in (pair.before, pair.after) if snapshot is not None]
        return {"run": "", "snapshots": snapshots}, from_snapshots.plan(pair), pair.diagnosis.cause
    except ReadError as error:
        raise ReadError(f"{named(file)}: {error}") from error
