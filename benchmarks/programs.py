"""What it costs a program to be watched from outside: our own churn, as a command of `estab run`."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.own import CONNECTIONS, GRACE_S, Figures
from benchmarks.space import MeasureError, finished

RATE = 1_000
LEAST_S = 5  # of which a share of a core can be told
BEGUN_S, LOOK_S = 1.5, 0.1  # the start's own cost is over by then


def own_run(seconds: int, notes: list[str], seen: str) -> Figures:
    """Connects a second as fast as they go: `sampled`, `traced`, or `bare`, which is without `estab run`."""
    return {"rate": _churn(seconds, notes, seen)["requests"]["per_second"]}


def own_run_cost(seconds: int, notes: list[str], seen: str) -> Figures:
    """The share of one core that watching takes beside 1,000 connects a second."""
    cost = _Cost()
    cost.start()
    try:
        _churn(max(seconds, LEAST_S), notes, seen, "--rate", str(RATE))
    finally:
        cost.over.set()
        cost.join()
    return {"fraction": cost.fraction()}


def _churn(seconds: int, notes: list[str], seen: str, *more: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.json")
        command = [sys.executable, "-P", "-m", "estab", "churn", "-q", "-s", "1", "--close", "rst", "--json", str(path)]
        command += ["-c", str(CONNECTIONS), "-d", str(seconds), *more]
        if seen == "bare":
            finished(command, seconds + GRACE_S, lambda status: status in (0, 1))
        else:
            _watched(command, notes, seen)
        run: dict[str, Any] = json.loads(path.read_bytes())
    if not (run["requests"] or {}).get("per_second"):
        raise MeasureError("estab churn had no answer")
    return run


def _watched(command: list[str], notes: list[str], seen: str) -> None:
    import estab

    program = estab.run(command, sampled=seen == "sampled").program
    if program is None or program.seen != seen:
        raise MeasureError(f"it was not {seen}: {program.why_sampled if program else ''}")
    if program.lost_events:
        notes.append(f"{program.lost_events:,} trace events were lost")


class _Cost(threading.Thread):
    """The CPU time of this process and of the one that traces for it, look by look, until it is `over`."""

    def __init__(self) -> None:
        super().__init__()
        self.over = threading.Event()
        self._looks: list[tuple[float, float]] = []

    def run(self) -> None:
        self.over.wait(BEGUN_S)
        tracers: set[int] = set()
        while not self.over.wait(LOOK_S):
            tracers = tracers or _tracers()
            self._looks.append((time.monotonic(), time.process_time() + sum(map(_cpu_s, tracers))))

    def fraction(self) -> float:
        """CPU seconds a second, without what the end takes."""
        looks = self._looks[: -int(1 / LOOK_S)]
        if len(looks) < 2:
            raise MeasureError("it was over too soon")
        (first_s, first), (last_s, last) = looks[0], looks[-1]
        return (last - first) / (last_s - first_s)


def _tracers() -> set[int]:
    from estab.observe.process_tree import children_of_this

    return {pid for pid in children_of_this() if b"connect_tracer" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def _cpu_s(pid: int) -> float:
    from estab.observe.processes import process

    seen = process(pid)
    return seen.cpu_s or 0.0 if seen is not None else 0.0
