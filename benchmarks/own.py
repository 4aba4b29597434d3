"""estab itself: by its command line, as a user runs it; and by its library where watching is left out."""

from __future__ import annotations

import json
import sys
import time
from typing import Any
from unittest.mock import patch

from benchmarks.ratios import in_turn, is_watched
from benchmarks.space import MeasureError, finished
from estab.api.bench import Mode, bench
from estab.api.churn import Close, churn
from estab.api.recorder import Recorder
from estab.kernel.formats.endpoint import endpoint, is_unix
from estab.load.serving import Service, serving

GRACE_S = 60.0
CONNECTIONS = 100
LONG_S = 30  # of half seconds in turn: enough for a median
Figures = dict[str, float]


def own_bench(seconds: int, notes: list[str], mode: str, size: int, connections: int = CONNECTIONS) -> Figures:
    """`estab bench` against its embedded server: answers a second, and their megabytes."""
    run = estab(seconds, notes, "bench", "-c", str(connections), "-s", str(size), "--mode", mode, "-d", str(seconds))
    return {**rate(run), "megabytes": run["requests"]["bytes"] / run["requests"]["seconds"] / 1e6}


def own_churn(seconds: int, notes: list[str], close: str, connections: int = CONNECTIONS) -> Figures:
    """`estab churn` with one byte there and back."""
    return rate(estab(seconds, notes, "churn", "-c", str(connections), "-s", "1", "--close", close, "-d", str(seconds)))


def own_hold(_seconds: int, notes: list[str], connections: int, source: str = "") -> Figures:
    """`estab hold`, held for 1 ms: the time from the first connect to the last close."""
    chosen = ["--source", source] if source else []
    run = _hold(notes, connections, *chosen)
    return {"seconds": float(run["elapsed_s"])}


def own_memory(_seconds: int, notes: list[str], connections: int) -> Figures:
    """How much the workers' RSS grows for each connection, at each end."""
    many, one = _hold(notes, connections), _hold(notes, 1)
    return {
        "client_bytes": memory_growth(many["client"]["workers"], one["client"]["workers"], connections),
        "server_bytes": memory_growth(many["server"]["workers"], one["server"]["workers"], connections),
    }


def memory_growth(many: list[dict[str, Any]], one: list[dict[str, Any]], connections: int) -> float:
    """More connections may need more workers: each brings the RSS that a worker with one connection has."""
    sizes, bases = ([worker["rss_bytes"] for worker in workers] for workers in (many, one))
    if None in sizes or None in bases or not bases:
        raise MeasureError("estab did not tell rss_bytes of every worker")
    return float(sum(sizes) - len(sizes) * sum(bases) / len(bases)) / connections


def _hold(notes: list[str], connections: int, *options: str) -> dict[str, Any]:
    run = estab(0, notes, "hold", "-n", str(connections), "-d", "1ms", *options)
    completed = run["funnel"]["completed"]
    if completed != connections:
        raise MeasureError(f"estab held {completed:,} of {connections:,} connections: {_failures(run) or 'no failure'}")
    return run


def rate(run: dict[str, Any]) -> Figures:
    """Answers a second of a run. Raises MeasureError where there were none."""
    per_second = (run["requests"] or {}).get("per_second")
    if not per_second:
        raise MeasureError(f"estab had no answer: {_failures(run) or 'no failure'}")
    return {"rate": float(per_second)}


def _failures(run: dict[str, Any]) -> str:
    return ", ".join(f"{one['count']:,} of {one['phase']} {one['errno']}" for one in run["failures"])


def estab(seconds: int, notes: list[str], *arguments: str) -> dict[str, Any]:
    """The record of one command. What it met, its failures and the limit that it named, goes into the notes."""
    # 1: connections failed or a limit was met. The run stands all the same, and the note says what was found.
    command = [sys.executable, "-P", "-m", "estab", *arguments, "--json", "-"]
    output = finished(command, seconds + GRACE_S, lambda status: status in (0, 1))
    run: dict[str, Any] = json.loads(output.splitlines()[0])
    if run["failures"]:
        notes.append(f"estab {arguments[0]} met failures: {_failures(run)}")
    cause = (run["diagnosis"] or {}).get("cause")
    if cause:
        notes.append(f"estab {arguments[0]} named a limit: {cause}")
    return run


def own_echo(seconds: int, notes: list[str], at: str, workload: str, size: int) -> Figures:
    """One workload against an echo server beside it: `at` a "unix" socket, or over "tcp" on loopback."""
    with serving(Service("echo", "unix:@estab-benchmark" if at == "unix" else "127.0.0.1")) as (_server, address):
        return _watched(seconds, notes, workload, size, endpoint(*address[:2]))


# -- the cost of watching ---------------------------------------------------------------------------------------------


def own_watch(seconds: int, notes: list[str], workload: str, size: int, watched: int) -> Figures:
    """One workload in this process's children, with all that a run watches, or with nothing of it."""
    return _watched(seconds, notes, workload, size) if watched else _unwatched(seconds, workload, size)


def own_watch_in_turn(seconds: int, notes: list[str], workload: str, size: int) -> Figures:
    """One run that is watched in every other half second: what it does watched to what it does not, as a ratio.

    Runs differ by 10% and more from one to the next; neighbouring half seconds of one run by far less.
    """
    counts: list[tuple[float, int]] = []
    whole_tick = Recorder.tick

    def tick(recorder: Recorder) -> None:
        totals = recorder.clients.totals()
        if not totals["started_ns"]:
            return
        counts.append((time.monotonic(), totals["requests"]))
        if is_watched(counts[-1][0]):
            whole_tick(recorder)

    with patch.object(Recorder, "tick", tick):
        _watched(max(seconds, LONG_S), notes, workload, size)
    return {"ratio": in_turn(counts)}


def _watched(seconds: int, notes: list[str], workload: str, size: int, target: str | None = None) -> Figures:
    if workload == "churn":
        # A UNIX socket has no RST, and no TIME_WAIT either: beside it TCP closes without one.
        close: Close = "fin" if target is None or is_unix(target) else "rst"
        run = churn(target, connections=CONNECTIONS, duration_s=seconds, size_bytes=size, close=close)
    else:
        mode: Mode = "flood" if workload == "flood" else "rr"
        run = bench(target, connections=CONNECTIONS, duration_s=seconds, size_bytes=size, mode=mode)
    if run.failures:
        notes.append(f"estab {run.command} met {sum(failure.count for failure in run.failures):,} failures")
    if run.requests is None or run.requests.per_second is None:
        raise MeasureError("estab had no answer")
    return {"rate": run.requests.per_second}


def _unwatched(seconds: int, workload: str, size: int) -> Figures:
    """What `estab.api.execute` does, less the watching: the same plan, the same processes, the same conductor."""
    from estab.api.execute import embedded_service
    from estab.api.machine import machine
    from estab.load import exchange, outcome, plan
    from estab.load.conductor import conduct
    from estab.load.fleet import Fleet

    load = plan.ClientLoad(workload, CONNECTIONS, float(seconds), exchange.echo(size))
    here = machine()
    with serving(embedded_service(load, Service("echo"), here)) as (_servers, address), Fleet() as clients:
        made = plan.make(load, address, here, beside_server=True)
        clients.start("client", made.configs)
        conduct(clients)
        blocks = [worker.block for worker in clients.workers]
        found = outcome.requests(blocks, clients.totals(), load)
    if found is None or found.per_second is None:
        raise MeasureError("estab had no answer")
    return {"rate": found.per_second}
