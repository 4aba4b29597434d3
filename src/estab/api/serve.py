"""`serve`: a server of our own, with live counts, until it is stopped."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable
from dataclasses import dataclass

from estab import __version__
from estab.api import port_taken
from estab.api.request import ConfigValue
from estab.errors import MachineError
from estab.kernel.formats.endpoint import endpoint, is_unix
from estab.load import outcome
from estab.load.conductor import TICK_S, Stop
from estab.load.fleet import Fleet, engine_name
from estab.load.plan import MOST_DURATION_S, check_range
from estab.load.serving import Service, serving
from estab.observe import host
from estab.observe.unix_watch import watch_of
from estab.observe.watch import EndsSample, Watch
from estab.records import Funnel, RunResult, TimelinePoint


@dataclass(frozen=True)
class ServeProgress:
    """Where the server stands. `granted` is the backlog that the kernel granted each of `listeners` sockets."""

    host: str
    port: int
    listeners: int
    backlog_asked: int
    granted: int | None
    point: TimelinePoint


def serve(
    service: Service,
    *,
    duration_s: float | None = None,
    stop: Stop | None = None,
    progress: Callable[[ServeProgress], None] | None = None,
) -> RunResult:
    """Serves until `stop`, KeyboardInterrupt, or `duration_s` is over. `progress` is called ten times a second.

    Raises UsageError for values that cannot be, MachineError where the address can't be had.
    """
    if duration_s is not None:
        check_range("duration_s", duration_s, 0, MOST_DURATION_S)
    started_at = time.time()
    with contextlib.ExitStack() as stack:
        try:
            servers, address = stack.enter_context(serving(service))
        except MachineError as error:
            raise port_taken.explained(error, service.port) from error
        where = address[0]
        # A wildcard address is watched through loopback: the same listeners serve it.
        seen_at = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(where, where)
        watch = stack.enter_context(contextlib.closing(watch_of(seen_at, address[1], server_pids=servers.pids())))
        watch.start()
        loop = _Loop(servers, watch, service, (where, address[1]), progress)
        interrupted = loop.run(duration_s, stop)
        seen = watch.finish()
        servers.stop()
        totals = servers.totals()
        blocks = [worker.block for worker in servers.workers]
        soft, _hard = host.own_open_files()
        return RunResult(
            command="serve",
            config=_config(service, where, address[1], duration_s),
            host=host.facts(),
            started_at_s=started_at,
            elapsed_s=round(time.time() - started_at, 4),
            engine=engine_name(),
            interrupted=interrupted,
            funnel=Funnel(accepted=totals["accepted"], first_byte=totals["first_byte"], completed=totals["closed"]),
            failures=outcome.failures(blocks),
            timeline=loop.points,
            server=seen.server.replace(workers=outcome.workers(servers, outcome.ProcessFigures(soft))),
            estab_version=__version__,
        )


def _config(service: Service, where: str, port: int, duration_s: float | None) -> dict[str, ConfigValue]:
    return {
        **service.settings(),
        "target": endpoint(where, port),
        "backlog_asked": service.backlog,
        "server_processes": service.processes,
        "close_after_bytes": service.close_after_bytes,
        "reset": service.reset,
        "duration_s": duration_s,
    }


class _Loop:
    def __init__(
        self,
        servers: Fleet,
        watch: Watch,
        service: Service,
        where: tuple[str, int],
        progress: Callable[[ServeProgress], None] | None,
    ) -> None:
        self.servers, self.watch, self.service, self.where, self.progress = servers, watch, service, where, progress
        self.points: list[TimelinePoint] = []
        self.began = time.monotonic()

    def run(self, duration_s: float | None, stop: Stop | None) -> bool:
        """True when it was stopped rather than over."""
        until = None if duration_s is None else self.began + duration_s
        poll = select.poll()
        if stop is not None:
            poll.register(stop.fileno(), select.POLLIN)
        try:
            while self.servers.alive() and (until is None or time.monotonic() < until):
                self._tick()
                left = TICK_S if until is None else min(TICK_S, max(0.0, until - time.monotonic()))
                if poll.poll(left * 1000):
                    return True
        except KeyboardInterrupt:
            return True
        return False

    def _tick(self) -> None:
        sample = self.watch.sample()
        point = self._point(sample)
        self.points = [*self.points[-599:], point]  # the last minute
        if self.progress is not None:
            limit = sample.queue_limit
            count = 1 if is_unix(self.where[0]) else len(self.servers.workers)  # of sockets
            granted = None if limit is None else limit // count
            self.progress(ServeProgress(*self.where, count, self.service.backlog, granted, point))

    def _point(self, sample: EndsSample) -> TimelinePoint:
        totals = self.servers.totals()
        return TimelinePoint(
            t_s=round(time.monotonic() - self.began, 4),
            attempted=0,
            connected=0,
            first_byte=totals["first_byte"],
            completed=totals["closed"],
            failed=totals["failed"],
            open=totals["open"],
            requests=0,
            accepted=totals["accepted"],
            time_wait=sample.time_wait,
        ).with_server(sample)
