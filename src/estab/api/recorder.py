"""A run while it goes on: its timeline, ten points a second, and what is told of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from estab.api.points import Points
from estab.diagnose import accepts
from estab.load import outcome
from estab.load.conductor import Stop
from estab.load.fleet import Fleet, WorkerProcess
from estab.load.outcome import WorkerCpuWatch
from estab.load.series import LatencySeries
from estab.observe import host, processes
from estab.observe.watch import EndsSample, Watch
from estab.records import TimelinePoint

_LOOK_S = 0.1


@dataclass(frozen=True)
class Progress:
    """Where a run stands, ten times a second. `stage` is connecting, running, holding or closing.

    `began_s`: when the load began, as Unix time by this host's clock.
    """

    stage: str
    point: TimelinePoint
    closed: int
    began_s: float | None = None


ProgressCallback = Callable[[Progress], None]
_STAGES = ("starting", "starting", "connecting", "running", "closing", "closing")


class Recorder:
    """Collects the timeline, and what the worker processes used."""

    def __init__(self, clients: Fleet, servers: Fleet | None, watch: Watch, progress: ProgressCallback | None) -> None:
        self.clients, self.servers, self.watch, self.progress = clients, servers, watch, progress
        self._points = Points()
        self.rss_bytes: dict[int, int] = {}
        self.cpu = WorkerCpuWatch()
        self.waited_ns: dict[int, tuple[int, int]] = {}
        self._latency = LatencySeries()
        self._last_count = time.monotonic(), 0

    def tick(self) -> None:
        """One more look at the load and at the kernel, once the load has begun."""
        totals = self.clients.totals()
        if not totals["started_ns"]:
            return
        at_s = (time.monotonic_ns() - totals["started_ns"]) / 1e9
        point = self._point(totals, self.watch.sample(self._soon(totals), at_s))
        for worker in self._workers():
            self.cpu.look(worker.pid, time.monotonic_ns(), worker.block.get("cpu_ns"))
            if (waited_ns := processes.waited_ns(worker.pid)) is not None:
                self.waited_ns[worker.pid] = self.waited_ns.get(worker.pid, (waited_ns, 0))[0], waited_ns
        self._points.add(point)
        if self.progress is not None:
            began_s = time.time() - (time.monotonic_ns() - totals["started_ns"]) / 1e9
            self.progress(Progress(_STAGES[totals["state"]], point, totals["closed"], began_s))

    def linger(self, stop: Stop | None) -> None:
        """Looks on while connections wait and none is accepted, until that can be told from a pause of the server's."""
        while 0 < self._unmoved_s() < accepts.STOPPED_S + _LOOK_S and not (stop is not None and stop.is_set):
            time.sleep(_LOOK_S)
            self.tick()

    def _unmoved_s(self) -> float:
        """For how long the server's queue has held something and not grown shorter. 0: it is empty, or not seen."""
        points = self.timeline()
        if not points or not points[-1].queue_depth:
            return 0.0
        since = points[-1]
        for point in reversed(points):
            if not point.queue_depth or point.queue_depth > (since.queue_depth or 0):
                break
            since = point
        return max(_LOOK_S, points[-1].t_s - since.t_s)

    def timeline(self) -> list[TimelinePoint]:
        """The points that were kept, and the last of all: what the run came to."""
        return self._points.timeline()

    def _point(self, totals: dict[str, int], sample: EndsSample) -> TimelinePoint:
        point = TimelinePoint(
            t_s=round((time.monotonic_ns() - totals["started_ns"]) / 1e9, 4),
            attempted=totals["attempted"],
            connected=totals["connected"],
            first_byte=totals["first_byte"],
            completed=totals["completed"],
            failed=totals["failed"],
            open=totals["open"],
            requests=totals["requests"],
            accepted=self.servers.totals()["accepted"] if self.servers else None,
            time_wait=sample.time_wait,
            client_fds=sample.client_fds,
            failures=self._failures() if totals["failed"] else None,
            client_states=sample.client_states,
        )
        latency = self._latency.look([worker.block for worker in self.clients.workers])
        return point.with_server(sample).replace(**latency)

    def _soon(self, totals: dict[str, int]) -> int:
        """How many connections there will be in a second, if they go on as since the last tick."""
        now, count = time.monotonic(), totals["open"] + totals["connecting"]
        since_s, before = self._last_count
        self._last_count = now, count
        return count + max(0, round((count - before) / max(now - since_s, 0.01)))

    def _failures(self) -> dict[str, int]:
        failures = outcome.failures(worker.block for worker in self._workers())
        return {str(failure.kind): failure.count for failure in failures}

    def settled(self) -> None:
        """Every connect is settled: what both ends hold now is looked at."""
        self.watch.settled()
        for worker in self._workers():
            process = processes.process(worker.pid)
            if process is not None and process.rss_bytes is not None:
                self.rss_bytes[worker.pid] = process.rss_bytes

    def figures(self) -> outcome.ProcessFigures:
        """What was seen of the worker processes from outside."""
        soft, _hard = host.own_open_files()
        waited_s = {pid: (last - first) / 1e9 for pid, (first, last) in self.waited_ns.items()}
        return outcome.ProcessFigures(soft, self.cpu, self.rss_bytes, self.watch.worst_fds, waited_s)

    def _workers(self) -> list[WorkerProcess]:
        return [*self.clients.workers, *(self.servers.workers if self.servers else ())]
