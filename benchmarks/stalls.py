"""A server that stalls at known times, asked by a closed and by an open loop; and what arithmetic says of it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.space import MeasureError, finished, free_ports, server

PAUSE_S, EVERY_S = 1.0, 10.0
RATE = 1000
SPAN_S = 30  # three pauses, the first after PHASE_S
PHASE_S = 4.5
PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9, 100.0)
ESTAB = (sys.executable, "-P", "-m", "estab")


def expected_ms(percentile: float, pause_s: float = PAUSE_S, every_s: float = EVERY_S) -> float:
    """What whoever asks at any moment waits, in ms, where a server answers at once but for `pause_s` each `every_s`.

    Who comes x into a pause waits pause - x: P(wait > w) = (pause - w) / every. 0: not even one in a pause.
    """
    return max(0.0, pause_s - (1 - percentile / 100) * every_s) * 1000


def own_stalls(_seconds: int, notes: list[str], mode: str) -> dict[str, float]:
    """The percentiles of a run of 30 s against `estab serve --pause 1s --pause-every 10s`, in ms."""
    (port,) = free_ports(1)
    target = f"127.0.0.1:{port}"
    serve = [*ESTAB, "serve", "--listen", target, "--pause", f"{PAUSE_S:g}", "--pause-every", f"{EVERY_S:g}", "-q"]
    with server(serve, [port]):
        time.sleep(PHASE_S)  # no synchronisation: it puts the pauses' phase well inside of the run
        asked = ["--rate", str(RATE)] if mode == "rate" else []
        run = _bench([*ESTAB, "bench", target, "--mode", mode, *asked, "-d", str(SPAN_S), "--json", "-"])
    if run["failures"]:
        notes.append(f"{sum(one['count'] for one in run['failures']):,} failures")
    return {"requests": float(run["requests"]["count"]), **percentiles(run["latency"]["request_us"], PERCENTILES)}


def _bench(command: Sequence[str]) -> dict[str, Any]:
    said = finished(command, SPAN_S + 30, lambda status: status in (0, 1))
    run: dict[str, Any] = json.loads(said.splitlines()[0])
    if not run["requests"]:
        raise MeasureError("estab had no answer")
    return run


def percentiles(latency: dict[str, Any], wanted: Sequence[float]) -> dict[str, float]:
    """Percentiles of a recorded histogram, in ms."""
    from hdrh.histogram import HdrHistogram

    histogram = HdrHistogram.decode(latency["hdr_ns"])
    return {f"p{one:g}": histogram.get_value_at_percentile(one) / 1e6 for one in wanted}
