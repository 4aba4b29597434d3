"""`lab`: plays scenarios in a process of its own, and collects what it says."""

from __future__ import annotations

import json
import os
import platform
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from estab import __version__
from estab.api.directory import make_directory
from estab.errors import MachineError, UsageError
from estab.lab.parts.scenario import Value, find, names, own_server, settings_of
from estab.lab.run.collector import Collector, Told
from estab.load.conductor import Stop
from estab.observe import via
from estab.records.lab import LabInside, LabResult, LabScenario

_ROOT = str(Path(__file__).resolve().parents[3])
_START = "import sys; sys.path.append(sys.argv[1]); from {module} import main; main()"
_ENDS_WITHIN_S = 10.0
MOST_JOBS = 16
_JOBS_BY_ITSELF = 4


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
    """Plays `scenarios` ("all" for each) and returns what was predicted, measured and judged, in their order.

    `settings`: by scenario, by field. `full`: timelines in real time (minutes). `sweep`: nothing but the ceilings at
    several sizes. `captures`: a directory for pcapng. `command`: a server of the user's own that takes the place of the
    engine's; `{host}` and `{port}` in it are filled in. `jobs`: so many are played side by side, 1 to 16; None: as many
    as cores, 4 at the most. `told(scenario, stage)` hears of each stage, the last is "over"; `finished(scenario)` of
    each result, in the order of `scenarios`. On `stop` what was finished is returned, with `interrupted`. `inside` goes
    with one scenario: when that is over it is played once more, up to the moment at which every connect is settled (or
    it fails), and all of it stands until `inside` returns.

    Raises UsageError for what cannot be asked, MachineError where this machine allows no namespaces.
    """
    wanted = names() if "all" in scenarios else list(scenarios)
    chosen = settings or {}
    for name in wanted:
        settings_of(find(name), chosen.get(name, {}))
    if sweep:
        _check_sweep(wanted)
    if command is not None:
        _check_server(command, [] if "all" in scenarios else wanted)
    if captures is not None:
        make_directory(captures, "captures (--pcap)")
    if inside is not None and len(wanted) != 1:
        raise UsageError(f"one scenario can be kept to look around in, not {len(wanted)}: name one")
    order = {
        "names": wanted,
        "jobs": _jobs(jobs),
        "keep": inside is not None,
        "settings": {name: dict(changes) for name, changes in chosen.items()},
        "full": full,
        "sweep": sweep,
        "captures": None if captures is None else str(Path(captures)),
        "command": command,
        "gauge": gauge,
    }
    began = time.monotonic()
    collector = Collector(told or (lambda _name, _text: None), finished or (lambda _one: None), inside)
    interrupted = play("estab.lab.run.worker", order, collector, stop)
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
    lacking = [name for name in wanted if not hasattr(find(name), "sweep")]
    if lacking:
        having = ", ".join(name for name in names() if hasattr(find(name), "sweep"))
        raise UsageError(f"{lacking[0]} has no sweep over sizes; there is one of {having}")


def _check_server(command: str, wanted: Sequence[str]) -> None:
    """Raises UsageError for a command that can't be, and where one of `wanted` has no place for it."""
    if not via.split(command, "--server "):
        raise UsageError("--server is empty; write it as 'python app.py {port}'")
    for name in wanted:
        if (reason := own_server(find(name))) is not None:
            raise UsageError(f"--server can't take part in {name}: {reason}; leave out --server, or the scenario")


def _jobs(wanted: int | None) -> int:
    """How many are played side by side. Raises UsageError."""
    if wanted is None:
        return min(len(os.sched_getaffinity(0)), _JOBS_BY_ITSELF)
    if not 1 <= wanted <= MOST_JOBS:
        raise UsageError(f"{wanted} scenarios can't be played side by side: give 1 to {MOST_JOBS}")
    return wanted


def play(module: str, order: dict[str, Any], collector: Collector, stop: Stop | None) -> bool:
    """Runs `main()` of a module in a process of its own, which takes the order and tells the collector what happens.

    True when it was interrupted. The process is gone at the end, and with it every namespace. Raises MachineError where
    it fails.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _START.format(module=module), _ROOT, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    try:
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        interrupted = _listen(process, collector, stop)
        if not interrupted and not collector.left and process.wait() != 0:
            said = process.stderr.read().decode("utf-8", "replace").strip().splitlines()
            raise MachineError(f"the lab's process ended with status {process.returncode}: {' '.join(said[-1:])}")
        return interrupted
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Hangs up, on which the keeper ends all that is inside, and returns when that is done."""
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdin.close()
    try:
        process.wait(_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
    process.stderr.close()


def _listen(process: subprocess.Popen[bytes], collector: Collector, stop: Stop | None) -> bool:
    assert process.stdout
    pipe = process.stdout.fileno()
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    if stop is not None:
        poll.register(stop.fileno(), select.POLLIN)
    rest = b""
    while True:
        try:
            ready = [fd for fd, _ in poll.poll()]
        except KeyboardInterrupt:
            return True
        if stop is not None and stop.is_set:
            return True
        if pipe not in ready:
            continue
        chunk = os.read(pipe, 65536)
        if not chunk:
            return False
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            collector.hear(line)
            if collector.left:
                return False
