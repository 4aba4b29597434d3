"""How many connections until requests take too long? Doubles the load; a callback ends a run at its first failure.

    python examples/growing_load.py [HOST:PORT]

The target is an echo server. Without one, an embedded server on loopback is loaded.
"""

from __future__ import annotations

import sys

import estab

STEPS = (25, 50, 100, 200, 400, 800, 1600)
TOO_LONG_US = 5_000.0


def measure(target: str | None, connections: int) -> estab.RunResult:
    """One second of requests. `look` sees ten samples a second; `stop` ends the run, and what was seen is kept."""
    with estab.Stop() as stop:

        def look(now: estab.Progress) -> None:
            if now.point.failed:
                stop.set()

        return estab.bench(target, connections=connections, duration_s=1, stop=stop, progress=look)


def main() -> int:
    """Print a line a step, until the 99th percentile is over the bound or something fails."""
    target = sys.argv[1] if len(sys.argv) > 1 else None
    for connections in STEPS:
        run = measure(target, connections)
        if run.failures or run.requests is None or run.latency.request_us is None:
            cause = run.diagnosis.cause if run.diagnosis else None
            print(f"{connections:6} connections  failed: {cause or 'no known cause'}")
            return 1
        p99_us = run.latency.request_us.p99 or 0.0
        print(f"{connections:6} connections  {run.requests.per_second or 0:9,.0f} requests/s  p99 {p99_us:7,.0f} us")
        if p99_us > TOO_LONG_US:
            break
    return 0


if __name__ == "__main__":
    sys.exit(main())
