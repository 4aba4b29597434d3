"""How the cost of `--cluster` grows with the hosts: `python -m benchmarks.cluster_growth`. It prints a table.

Hosts are made up: results of k hosts are joined as the command joins them, and a real scheduler passes words on to
a real client. Each figure is the median of three.
"""

from __future__ import annotations

import contextlib
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from benchmarks.timing import seconds
from estab.api.bench import BenchRequest, bench
from estab.api.request import LoadOptions
from estab.cluster import clock
from estab.cluster.coordinator import Outcome, Part
from estab.cluster.members import Member
from estab.cluster.messages import TOPIC, Generated, TaskEvent
from estab.cluster.total import ClusterRequest, result
from estab.kernel.formats import hdr
from estab.observe import host
from estab.records import Percentiles, RunResult, TimelinePoint, encode
from estab.records.cluster import Clock

HOSTS = (1, 2, 10, 30, 100)
WORDS = 2_000
CLOCK = Clock(offset_ms=0.0, uncertainty_ms=0.5, samples=8)


def median_s(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    return statistics.median(seconds(work) for _ in range(3))


def a_run() -> RunResult:
    """A run of a second whose latencies are spread as widely as they ever are, and a timeline of ten minutes."""
    run = bench(connections=10, duration_s=1.0)
    point = run.timeline[-1]
    timeline = [point.replace(t_s=round(i / 10, 4)) for i in range(2_000)]
    wide = _spread()
    return run.replace(timeline=timeline, latency=run.latency.replace(request_us=wide, connect_us=wide))


def _spread() -> Percentiles:
    histogram = hdr.empty()
    chance = random.Random(1)
    for _ in range(20_000):
        histogram.record_value(int(chance.lognormvariate(12, 2)))
    return Percentiles(count=20_000, mean=1.0, max=1e6, hdr_ns=histogram.encode().decode())


def joining(run: RunResult, hosts: int) -> Callable[[], object]:
    """What the command does when k hosts have answered."""
    data = msgspec.json.encode(Generated(run=msgspec.Raw(encode(run)), began_s=0.001, held={"10.0.0.1": 10}))
    parts = []
    for number in range(hosts):
        part = Part(Member(f"tcp://{number}:1", str(number), str(number)), CLOCK, None, 0.0)  # type: ignore[arg-type]
        part.result = data
        parts.append(part)
    asked = ClusterRequest(
        request=BenchRequest(connections=10 * hosts),
        options=LoadOptions(),
        target="10.0.0.2:5000",
        scheduler="tcp://s:1",
        idle={},
        here=host.facts(),
        at_s=0.0,
        engine="c",
    )
    return lambda: result(asked, Outcome(parts, None, agreed_s=0.0), [10] * hosts)


def words_per_s() -> tuple[float, int]:
    """How many live words a second one scheduler passes on to one command, and the bytes of one."""
    from distributed import Client, LocalCluster

    point = TimelinePoint(
        t_s=1.0, attempted=1, connected=1, first_byte=1, completed=1, failed=0, open=1, requests=10**6
    )
    told = msgspec.to_builtins(
        TaskEvent(run="r", who="tcp://10.0.0.1:40000", what="live", stage="running", point=point)
    )
    with contextlib.ExitStack() as stack:
        settings: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
        cluster: Any = stack.enter_context(LocalCluster(**settings))  # type: ignore[no-untyped-call]
        client: Any = stack.enter_context(Client(cluster))  # type: ignore[no-untyped-call]
        heard: list[float] = []
        client.subscribe_topic(TOPIC, lambda _event: heard.append(time.perf_counter()))
        client.submit(_talk, told, key="warm").result()
        before = len(heard)
        began = time.perf_counter()
        client.submit(_talk, told, key="talk").result()
        while len(heard) < before + WORDS:
            time.sleep(0.001)
        return WORDS / (heard[-1] - began), len(msgspec.json.encode(told))


def _talk(told: dict[str, object]) -> None:
    from distributed import get_worker

    for _ in range(WORDS):
        get_worker().log_event(TOPIC, told)


def rows() -> Iterator[str]:
    """The table's lines."""
    run = a_run()
    yield f"a host's result: {len(encode(run)):,} bytes (a timeline of {len(run.timeline):,} points)"
    yield f"of which latencies: {len(encode(run.latency)):,} bytes"
    yield "hosts  joined in s"
    for hosts in HOSTS:
        yield f"{hosts:5}  {median_s(joining(run, hosts)):.3f}"
    rate, size = words_per_s()
    yield f"live words passed on: {rate:,.0f} a second, {size} bytes each"
    exchange = clock.ClockExchange(0.0, 0.0, 0.001)
    yield f"clock arithmetic: {median_s(lambda: clock.best([exchange] * 8)) * 1e6:.0f} us a host"


if __name__ == "__main__":
    for row in rows():
        sys.stdout.write(row + "\n")
        sys.stdout.flush()
