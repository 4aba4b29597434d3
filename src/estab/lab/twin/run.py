"""`twin`: reads a record, has it rebuilt in a process of its own, and collects what that says."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from estab import __version__
from estab.api.files import diagnose, read_record
from estab.errors import ReadError
from estab.lab.run import Collector, play
from estab.lab.twin.plan import plan
from estab.lab.twin.record import TwinResult
from estab.lab.twin.scaling import scaled
from estab.load.conductor import Stop
from estab.records import RunResult, encode


def twin(
    file: str | Path, *, scale: float = 1.0, stop: Stop | None = None, told: Callable[[str], None] | None = None
) -> TwinResult:
    """Rebuilds the failure that `file` (estab.run/1) holds, and tries each remedy of its verdict.

    `scale` multiplies the connections and every bound alike. `told(stage)` hears of each stage. On `stop` what was seen
    so far is returned, with `interrupted`.

    Raises ReadError for a file without a load to replay, UsageError for a scale that cannot be, MachineError where this
    machine allows no namespaces.
    """
    run = _recorded(file)
    scaled(plan(run).setup, scale)  # what can't be is said before a process is started
    order = {"file": str(file), "scale": scale, "run": encode(run).decode()}
    began = time.monotonic()
    collector = _Collector(told or (lambda _stage: None))
    interrupted = play("estab.lab.twin.hand", order, collector, stop)
    cause = run.diagnosis.cause if run.diagnosis else None
    result = collector.result or TwinResult(file=str(file), scale=scale, recorded_cause=cause)
    return result.replace(
        kernel=platform.release(),
        euid=os.geteuid(),
        seconds=round(time.monotonic() - began, 1),
        interrupted=interrupted,
        estab_version=__version__,
    )


def _recorded(file: str | Path) -> RunResult:
    """The run, judged anew by this version. Raises ReadError that says what is missing."""
    found = read_record(file)
    if not isinstance(found, RunResult):
        raise ReadError(
            f"{file} holds snapshots: they show a state, not the load that led to it (the command, how many "
            "connections, how fast, the timeout), and a twin replays a load; record one: estab hold ... --json FILE"
        )
    run = diagnose(found)
    try:
        plan(run)
    except ReadError as error:
        raise ReadError(f"{file}: {error}") from error
    return run


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
