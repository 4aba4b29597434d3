"""One run from end to end: start the load, watch the kernel meanwhile, put it all in one record, have it judged."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import psutil

from estab import __version__
from estab.diagnose import judge
from estab.errors import EstabError, MachineError, UsageError
from estab.kernel.formats import sysctl
from estab.kernel.formats.endpoint import endpoint
from estab.kernel.rules import memory
from estab.load import fleet, outcome, plan
from estab.load.conductor import SOLO, Barrier, Callbacks, Stop, conduct
from estab.load.fleet import Fleet, WorkerProcess, engine_name
from estab.load.outcome import CpuWatch
from estab.load.plan import Load, Machine, is_address
from estab.load.series import LatencySeries
from estab.load.serving import Service, serving
from estab.load.target import parse, resolve
from estab.observe import host, processes, sysctls, via
from estab.observe.local import is_local
from estab.observe.watch import EndsSample, Observed, Watch
from estab.records import RunResult, TimelinePoint

MOST_POINTS = 2_000
ConfigValue = int | float | str | bool | None | list[str]
Config = Mapping[str, ConfigValue]


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


class _Recorder:
    """Collects the timeline. A long run keeps every second point, then every fourth, so that it stays readable."""

    def __init__(self, clients: Fleet, servers: Fleet | None, watch: Watch, progress: ProgressCallback | None) -> None:
        self.visiting = 0  # so many of the clients, the last, are visitors
        self.clients, self.servers, self.watch, self.progress = clients, servers, watch, progress
        self.points: list[TimelinePoint] = []
        self.rss_bytes: dict[int, int] = {}
        self.cpu = CpuWatch()
        self._latency = LatencySeries()
        self._every, self._seen = 1, 0
        self._left_out: TimelinePoint | None = None  # the newest, where it is one to leave out: the end is kept
        self._last_count = time.monotonic(), 0

    def tick(self) -> None:
        totals = self.clients.totals()
        if not totals["started_ns"]:
            return
        point = self._point(totals, self.watch.sample(self._soon(totals)))
        for worker in self._workers():
            self.cpu.look(worker.pid, time.monotonic_ns(), worker.block.get("cpu_ns"))
        if self._left_out is not None:
            self.points[-1] = _keep_rare(self.points[-1], self._left_out)
            self._left_out = None
        if self._seen % self._every == 0 or not self.points:
            self.points.append(point)
        else:
            self._left_out = point
        self._seen += 1
        if len(self.points) > MOST_POINTS:
            odd = [*self.points[1::2], *self.points[-1:]]
            self.points = [_keep_rare(kept, left_out) for kept, left_out in zip(self.points[::2], odd, strict=False)]
            self._every *= 2
        if self.progress is not None:
            began_s = time.time() - (time.monotonic_ns() - totals["started_ns"]) / 1e9
            self.progress(Progress(_STAGES[totals["state"]], point, totals["closed"], began_s))

    def timeline(self) -> list[TimelinePoint]:
        """The points that were kept, and the last of all: what the run came to."""
        return self.points if self._left_out is None else [*self.points, self._left_out]

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
        found = outcome.failures(worker.block for worker in self._workers())
        return {str(failure.kind): failure.count for failure in found}

    def settled(self) -> None:
        self.watch.settled()
        for worker in self._workers():
            found = processes.process(worker.pid)
            if found is not None and found.rss_bytes is not None:
                self.rss_bytes[worker.pid] = found.rss_bytes

    def figures(self) -> outcome.ProcessFigures:
        soft, _hard = host.own_open_files()
        return outcome.ProcessFigures(soft, self.cpu, self.rss_bytes, self.watch.worst_fds)

    def _workers(self) -> list[WorkerProcess]:
        return [*self.clients.workers, *(self.servers.workers if self.servers else ())]


_RARE = ("failures", "client_states", "server_states", "connect_us", "request_us")


def _keep_rare(kept: TimelinePoint, left_out: TimelinePoint) -> TimelinePoint:
    """`kept` with what only some points have, where it lacks it, of the point that is left out."""
    missing = {name: getattr(left_out, name) for name in _RARE if getattr(kept, name) is None}
    return kept.replace(**missing)


def machine() -> Machine:
    """What the plan has to know of this machine and network namespace."""
    soft, _hard = host.own_open_files()
    cores, nofile = host.facts().cores or 1, soft or plan.MOST_CONNECTIONS
    try:
        port_range = sysctls.read_one("net.ipv4.ip_local_port_range")
        ports = sysctl.usable_ports(port_range, sysctls.read_one("net.ipv4.ip_local_reserved_ports"))
        return Machine(cores, nofile, ports, sysctl.port_bounds(port_range))
    except (OSError, EstabError):
        return Machine(cores, nofile, ports=None)


def embedded_service(load: Load, service: Service, here: Machine) -> Service:
    """The service with as many processes as `load` needs."""
    needed = plan.server_processes_for(load.connections, here.nofile)
    return replace(service, processes=max(service.processes, needed))


@dataclass(frozen=True)
class Asked:
    """What a command asked for: its name, the load, what stands in the record's `config`, and how long to hold.

    `visitors` is a second load that comes and goes beside the first for as long as it lasts.
    `server_via` is a command that prints snapshots of the server's host, as "ssh HOST estab observe --port {port}".
    `barrier`: what is agreed with the other hosts, where the load is one of several.
    """

    command: str
    load: Load
    config: Config
    hold_s: float | None = None
    server_via: str | None = None
    visitors: Load | None = None
    barrier: Barrier = SOLO


def execute(
    asked: Asked,
    *,
    target: str | None,
    service: Service,
    stop: Stop | None = None,
    progress: ProgressCallback | None = None,
) -> RunResult:
    """Runs a load against `target`, or against an embedded `service` where that is None, and judges it.

    Raises UsageError for what cannot be asked and MachineError for what this machine can't do, before anything is sent.
    A run that was interrupted returns what it had.
    """
    here = machine()
    plan.check(asked.load)
    if asked.visitors is not None:
        plan.check(asked.visitors)
    if asked.server_via is not None and target is None:
        raise UsageError("--server-via is for a TARGET elsewhere; the embedded server is seen from here")
    if asked.server_via is not None and target is not None:
        via.words_of(asked.server_via, parse(target)[1])  # a command that can't be is said before anything is sent
    for source in asked.load.sources:
        if is_address(source) and not is_local(source):
            raise UsageError(f"source {source} is not an address of this host; `ip addr` lists those that are")
    check_fits(asked.load, here, embedded=target is None)
    config: dict[str, ConfigValue] = {**asked.config, "embedded": target is None}
    if asked.server_via is not None:
        config["server_via"] = asked.server_via
    with contextlib.ExitStack() as stack:
        servers: Fleet | None = None
        if target is None:
            servers, address = stack.enter_context(serving(embedded_service(asked.load, service, here)))
            config |= {"backlog_asked": service.backlog, "server_processes": len(servers.workers)}
            config |= service.settings()
        else:
            address = resolve(target)
        load = replace(asked.load, target=address)
        made = plan.make(load, here, beside_server=is_local(address[0]))
        config |= {
            "target": endpoint(address[0], address[1]),
            "workers": len(made.configs),
            "sources": list(made.sources),
        }
        if asked.visitors is not None:
            made = made.beside(plan.make(replace(asked.visitors, target=address), here, beside_server=True))
        return _run(replace(asked, load=load, config=config), made, servers, stop, progress)


def check_fits(load: Load, here: Machine, *, embedded: bool) -> None:
    """Raises MachineError, with every limit that is too narrow, where this machine cannot hold so many connections.

    Asked before anything is opened: a machine that runs out of memory cannot say so any more.
    """
    narrow = [
        f"{name} allows {fit:,} ({why})"
        for name, fit, why in _ladder(load, here, 2 if embedded else 1)
        if fit < load.connections
    ]
    if narrow:
        more = "; `estab limits` shows the whole ladder"
        raise MachineError(f"{load.connections:,} connections do not fit: {', '.join(narrow)}{more}")


def _ladder(load: Load, here: Machine, ends: int) -> list[tuple[str, int, str]]:
    """What bounds all processes of this machine together: name, how many connections, and of what."""
    available = psutil.virtual_memory().available
    workers = plan.client_processes_for(load, here, beside_server=False)
    workers += plan.server_processes_for(load.connections, here.nofile) if ends == 2 else 0
    each = (memory.BYTES_PER_POLLED_PAIR / 2 + plan.BYTES_PER_CONNECTION) * ends
    each += workers * plan.BYTES_PER_WORKER / load.connections
    why = f"{load.connections * each / 1e9:.1f} GB needed, {available / 1e9:.1f} GB available"
    found = [("memory", memory.connections(available, each) or 0, why)]
    if (files := host.open_files_left()) is not None:
        found.append(("fs.file-max", files // ends, f"{files:,} more files may be opened on this host"))
    return sorted(found, key=lambda rung: rung[1])


def _run(
    asked: Asked, made: plan.Plan, servers: Fleet | None, stop: Stop | None, progress: ProgressCallback | None
) -> RunResult:
    started_at = time.time()
    host_name, port, _scope = asked.load.target
    own = servers.pids() if servers else None
    watch = Watch(host_name, port, server_pids=own, server_via=asked.server_via)
    with contextlib.closing(watch), Fleet() as clients:
        clients.start("client", made.configs)
        watch.start(clients.pids())
        recorder = _Recorder(clients, servers, watch, progress)
        recorder.visiting = made.visiting
        told = Callbacks(recorder.tick, recorder.settled, watch.closing, asked.barrier)
        interrupted = conduct(clients, told, hold_s=asked.hold_s, stop=stop)
        seen = watch.finish()
        if servers is not None:
            servers.stop()
        run = _result(asked, recorder, seen, started_at).replace(interrupted=interrupted)
    return run.replace(diagnosis=judge(run))


def _accepted(recorder: _Recorder, seen: Observed, load: Load) -> int | None:
    """The server's word on how many it accepted: its own count, or the sockets with an inode where they all stay."""
    if recorder.servers is not None:
        return recorder.servers.totals()["accepted"]
    lost = any(
        failure.phase in ("read", "write") for failure in outcome.failures(w.block for w in recorder.clients.workers)
    )
    if load.workload == "churn" or seen.server.listener is None or lost:
        return None  # what had ended before the server's sockets were counted is in no count
    at_settled = seen.server.listener.accepted_at_end
    # Counted when the last connect was settled; one that was answered later has been accepted since.
    return None if at_settled is None else max(at_settled, recorder.clients.totals()["first_byte"])


def _result(asked: Asked, recorder: _Recorder, seen: Observed, started_at: float) -> RunResult:
    clients, servers = recorder.clients, recorder.servers
    blocks = [worker.block for worker in clients.workers]
    staying = len(blocks) - recorder.visiting
    server_blocks = [worker.block for worker in servers.workers] if servers else []
    totals = clients.totals()
    ended = totals["ended_ns"] or time.monotonic_ns()
    return RunResult(
        command=asked.command,
        config=dict(asked.config),
        host=host.facts(),
        started_at_s=started_at,
        elapsed_s=round(max(0, ended - totals["started_ns"]) / 1e9, 4) if totals["started_ns"] else 0.0,
        engine=engine_name(),
        funnel=outcome.funnel(totals, _accepted(recorder, seen, asked.load)),
        failures=outcome.failures([*blocks, *server_blocks]),
        requests=outcome.requests(totals, asked.load.workload != "hold" and asked.load.size > 0),
        open_loop=outcome.open_loop(fleet.totals(b.counts() for b in blocks[:staying]), asked.load),
        visitors=outcome.visitors(blocks[staying:], asked.visitors),
        latency=outcome.latency(blocks, totals),
        syn_retransmits=outcome.syn_retransmits(blocks),
        timeline=recorder.timeline(),
        error_orders=outcome.error_orders(blocks),
        ghosts=seen.ghosts,
        client=seen.client.replace(workers=outcome.workers(clients, recorder.figures())),
        server=seen.server.replace(workers=outcome.workers(servers, recorder.figures()) if servers else []),
        estab_version=__version__,
    )
