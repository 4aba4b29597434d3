"""`lab`: runs scenarios in a process of its own, and collects what it says."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from estab import __version__
from estab.api.directory import make_directory
from estab.errors import UsageError
from estab.lab.parts.scenario import find, made, names
from estab.lab.parts.settings import Value
from estab.lab.process.launch import run_worker
from estab.lab.run.collector import Collector, Told
from estab.load.conductor import Stop
from estab.observe import via
from estab.records.lab import LabInside, LabResult, LabScenario

MOST_JOBS = 16
_JOBS_BY_ITSELF = 4
_WAITING_BY_ITSELF = 3


def lab(
    scenarios: Sequence[str],
    *,
    settings: Mapping[str, Mapping[str, Value]] | None = None,
    full: bool = False,
    sweep: bool = False,
    captures: str | Path | None = None,
    command: str | None = None,
    gauge: bool = True,
    jobs: int | None = None,
    stop: Stop | None = None,
    told: Told | None = None,
    finished: Callable[[LabScenario], None] | None = None,
    inside: Callable[[LabInside], None] | None = None,
) -> LabResult:
    """Runs `scenarios` ("all" for each) and returns what was predicted, measured and judged, in their order.

    `settings`: by scenario, by field. `full`: timelines in real time (minutes). `sweep`: nothing but the ceilings at
    several sizes. `captures`: a directory for pcapng. `command`: a server of the user's own that takes the place of the
    engine's; `{host}` and `{port}` in it are filled in. `jobs`: so many are run side by side, 1 to 16; None: two more
    than cores, 4 at the most, and 3 more of those that only wait. `told(scenario, stage)` hears of each stage, the last
    is "over"; `finished(scenario)` of each result, in the order of `scenarios`. On `stop` what was finished is
    returned, with `interrupted`. `inside` goes with one scenario: when that is over it is run once more, up to the
    moment at which every connect is settled (or it fails), and all of it stands until `inside` returns.

    Raises UsageError for what cannot be asked, MachineError where this machine allows no namespaces.
    """
    wanted = names() if "all" in scenarios else list(scenarios)
    chosen = settings or {}
    for name in wanted:
        made(name, chosen.get(name, {}))
    if sweep:
        _check_sweep(wanted)
    if command is not None:
        _check_server(command, [] if "all" in scenarios else wanted)
    if captures is not None:
        make_directory(captures, "`captures`")
    if inside is not None and len(wanted) != 1:
        raise UsageError(f"one scenario can be kept to look around in, not {len(wanted)}: name one")
    order = {
        "names": wanted,
        "jobs": _jobs(jobs),
        "waiting": _WAITING_BY_ITSELF if jobs is None else 0,
        "keep": inside is not None,
        "settings": {name: dict(changes) for name, changes in chosen.items()},
        "full": full,
        "sweep": sweep,
        "captures": None if captures is None else str(Path(captures)),
        "command": command,
        "gauge": gauge,
    }
    began = time.monotonic()
    collector = Collector(told or (lambda _name, _text: None), finished or (lambda _scenario: None), inside)
    interrupted = run_worker("estab.lab.run.worker", order, collector.hear, stop)
    collector.tell_the_rest()
    return LabResult(
        scenarios=collector.scenarios,
        wire=collector.wire,
        kernel=platform.release(),
        euid=os.geteuid(),
        seconds=round(time.monotonic() - began, 1),
        interrupted=interrupted,
        contained=collector.contained,
        estab_version=__version__,
    )


def _check_sweep(wanted: Sequence[str]) -> None:
    """Raises UsageError where one of them has no sweep."""
    lacking = [name for name in wanted if not find(name).sweeps]
    if lacking:
        having = ", ".join(name for name in names() if find(name).sweeps)
        raise UsageError(f"{lacking[0]} has no sweep over sizes; there is one of {having}")


def _check_server(command: str, wanted: Sequence[str]) -> None:
    """Raises UsageError for a command that can't be, and where one of `wanted` has no place for it."""
    if not via.split(command, "`command` "):
        raise UsageError("`command` is empty; write it as 'python app.py {port}'")
    for name in wanted:
        if (reason := find(name).no_own_server) is not None:
            raise UsageError(f"`command` can't take part in {name}: {reason}; leave out `command`, or the scenario")


def _jobs(wanted: int | None) -> int:
    """How many are run side by side. Raises UsageError."""
    if wanted is None:
        return min(len(os.sched_getaffinity(0)) + 2, _JOBS_BY_ITSELF)
    if not 1 <= wanted <= MOST_JOBS:
        raise UsageError(f"{wanted} scenarios can't be run side by side: give 1 to {MOST_JOBS}")
    return wanted
