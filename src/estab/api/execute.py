"""One run from end to end: start the load, watch the kernel meanwhile, put it all in one record, have it judged."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from estab import __version__
from estab.api.machine import check_fits, machine
from estab.api.probing import ProbeTarget, Probing
from estab.api.recorder import ProgressCallback, Recorder
from estab.api.request import ConfigValue, LoadOptions, LoadRequest
from estab.diagnose import accepts, data_path, judge, sent, silence
from estab.errors import UsageError
from estab.kernel.formats.endpoint import endpoint, is_unix
from estab.load import connect_after, fleet, late_connect, outcome, plan
from estab.load.conductor import SOLO, Barrier, Callbacks, Stop, conduct
from estab.load.exchange import HTTP, Exchange
from estab.load.fleet import Fleet, engine_name
from estab.load.plan import Address, ClientLoad, Machine, is_address
from estab.load.probing import sizes
from estab.load.serving import Service, serving
from estab.load.target import parse, resolve_all
from estab.observe import host, via
from estab.observe.local import is_local
from estab.observe.unix_watch import watch_of
from estab.observe.watch import Observed, Watch
from estab.records import Funnel, Ghosts, LateConnect, RunResult
from estab.records.failure import OF_CONNECTED


@dataclass(frozen=True)
class _Run:
    """A run that is ready to start: what was asked, of whom, and what each client worker gets.

    `target` is the one of the target's `addresses` that is loaded, where it has a name.
    """

    request: LoadRequest
    load: ClientLoad
    visitors: ClientLoad | None
    target: Address
    addresses: Sequence[Address]
    plan: plan.Plan
    config: Mapping[str, ConfigValue]
    server_via: str | None
    barrier: Barrier
    probing: Probing | None


def execute(
    request: LoadRequest,
    target: str | None,
    options: LoadOptions,
    *,
    stop: Stop | None = None,
    progress: ProgressCallback | None = None,
    barrier: Barrier = SOLO,
) -> RunResult:
    """Runs a load against `target`, or against an embedded server where that is None, and judges it.

    `barrier` is what is agreed with the other hosts, where the load is one of several. Raises UsageError for what
    cannot be asked and MachineError for what this machine can't do, before anything is sent. A run that was interrupted
    returns what it had.
    """
    here, embedded = machine(), target is None
    request = request.resolved(target)
    load, visitors = request.client_load(options, target), request.visitors(options, embedded=embedded)
    _check_ends(target, options)
    check_fits(load, here, embedded=embedded)
    config: dict[str, ConfigValue] = {**request.config(), "timeout_s": options.timeout_s, "embedded": embedded}
    if options.server_via is not None:
        config["server_via"] = options.server_via
    if options.probe and not request.is_probe:
        config["probe"] = True
    if options.port_beside is not None:
        config["port_beside"] = options.port_beside
    with contextlib.ExitStack() as stack:
        servers: Fleet | None = None
        addresses: list[Address] = []
        if target is None:
            service = request.service(options.service)
            servers, address = stack.enter_context(serving(embedded_service(load, service, here)))
            config |= {"backlog_asked": service.backlog, "server_processes": len(servers.workers)}
            config |= service.settings()
        else:
            addresses = resolve_all(target, family=options.address_family)
            address = addresses[0]
        _check_unix(address, load)
        made = plan.make(load, address, here, beside_server=is_local(address[0]))
        config |= {
            "target": endpoint(address[0], address[1]),
            "processes": len(made.configs),
            "sources": list(made.sources),
        }
        if options.address_family != "any":
            config["address_family"] = options.address_family
        if len(addresses) > 1:
            config["target_name"] = parse(str(target))[0]
        if visitors is not None:
            made = made.beside(plan.make(visitors, address, here, beside_server=True))
        probing = None
        if (options.probe or request.is_probe) and target is not None and not is_unix(address[0]):
            _check_other_port(options.port_beside, address)
            subject = ProbeTarget(
                target=address,
                source=next(iter(made.sources), None),
                exchange=load.exchange,
                timeout_s=load.timeout_s,
                other_port=options.port_beside or 0,
                ports_used=here.port_range,
            )
            probing = Probing(subject, stop, of_command=request.is_probe)
        run = _Run(
            request, load, visitors, address, addresses, made, config, options.server_via, barrier, probing
        )  # fmt: skip
        return _carry_out(run, servers, stop, progress)


def _check_other_port(port: int | None, target: Address) -> None:
    """Raises UsageError where the other port is the target's own."""
    if port == target[1]:
        raise UsageError(f"`port_beside` is {port}, the port of the `target` itself: give another one")


def _check_ends(target: str | None, options: LoadOptions) -> None:
    """Raises UsageError where the server's end can't be seen as was asked, or a source is no address of this host."""
    if options.server_via is not None:
        if target is None:
            raise UsageError("`server_via` is for a `target` elsewhere; the embedded server is seen from here")
        if is_unix(target):
            raise UsageError(f"`server_via` shows another host, and {target} is a UNIX socket of this: leave it out")
        via.words_of(options.server_via, parse(target)[1])  # a command that can't be is said before anything is sent
    for source in options.sources:
        if is_address(source) and not is_local(source):
            raise UsageError(f"`sources`: {source} is not an address of this host; `ip addr` lists those that are")


def _check_unix(address: Address, load: ClientLoad) -> None:
    """Raises UsageError for what a UNIX socket can't do."""
    if is_unix(address[0]) and load.reset:
        raise UsageError(f"a close by RST was asked for, and {address[0]} is a UNIX socket, which has none")


def embedded_service(load: ClientLoad, service: Service, here: Machine) -> Service:
    """The service with as many processes as `load` needs."""
    needed = plan.server_processes_for(load.connections, here.nofile)
    return replace(service, processes=max(service.processes, needed))


def _carry_out(run: _Run, servers: Fleet | None, stop: Stop | None, progress: ProgressCallback | None) -> RunResult:
    started_at = time.time()
    host_name, port, _scope = run.target
    own = servers.pids() if servers else None
    watch = watch_of(host_name, port, server_pids=own, server_via=run.server_via)
    with contextlib.closing(watch), Fleet() as clients:
        if run.probing is not None:
            run.probing.before()
        clients.start("client", run.plan.configs)
        watch.start(clients.pids())
        recorder = Recorder(clients, servers, watch, progress)
        late = _AskedLate(run, clients, watch)
        told = Callbacks(recorder.tick, recorder.settled, late.closing, run.barrier)
        interrupted = conduct(clients, told, hold_s=run.request.hold_s, stop=stop)
        recorder.linger(stop)
        seen = watch.finish()
        if servers is not None:
            servers.stop()
        record = _result(run, recorder, seen, started_at).replace(interrupted=interrupted, late_connect=late.record)
    if not interrupted and not is_unix(host_name):
        record = _asked_again(run, record)
    return record.replace(diagnosis=judge(record))


def _asked_again(run: _Run, record: RunResult) -> RunResult:
    """With what a few connects after the run tell, where it left a question that they can answer, or all were asked."""
    if len(run.addresses) > 1:
        record = record.replace(addresses=connect_after.connect_each(run.addresses, _source(run)))
    if silence.asks_for_connect(record):
        record = record.replace(connect_after=connect_after.connect_after(run.target, _source(run)))
    if run.probing is not None:
        return run.probing.after(record.replace(diagnosis=judge(record)))
    if not data_path.asks_for_probe(record):
        return record
    asked = sizes.asking(run.target, run.load.exchange, run.load.timeout_s, _source(run))
    return record.replace(size_probe=sizes.probe(asked))


def _source(run: _Run) -> str | None:
    """The address that connects come from, where one was asked for."""
    sources = run.config["sources"]
    return sources[0] if isinstance(sources, list) and sources else None


class _AskedLate:
    """What is asked while all that connected is held: is what was refused refused still, is this port lost alone?"""

    def __init__(self, run: _Run, clients: Fleet, watch: Watch) -> None:
        self._run, self._clients, self._watch = run, clients, watch
        self.record: LateConnect | None = None

    def closing(self) -> None:
        """The server's end is counted first: the connect is none of the run's."""
        self._watch.closing()
        blocks = [worker.block for worker in self._clients.workers]
        open_now = sum(block.get("open") for block in blocks)
        began_ns = min((block.get("started_ns") for block in blocks), default=0)
        failures = outcome.failures(blocks)
        # Where the server's end is seen, these connects would count there.
        is_seen = self._run.server_via is not None or is_local(self._run.target[0])
        if open_now and self._run.probing is not None and not is_seen and sent.lost_among(failures):
            self._run.probing.held(open_now)
        if not open_now or not sent.refused_among(failures):
            return
        at_s = (time.monotonic_ns() - began_ns) / outcome.NS_PER_S
        errno = late_connect.outcome(self._run.target, _source(self._run))
        self.record = LateConnect(at_s=round(at_s, 3), open=open_now, errno=errno)


def _accepted(recorder: Recorder, seen: Observed, load: ClientLoad) -> int | None:
    """The server's word on how many it accepted: its own count, or the sockets with an inode where they all stay."""
    if recorder.servers is not None:
        return recorder.servers.totals()["accepted"]
    lost = any(failure.phase in OF_CONNECTED for failure in outcome.failures(w.block for w in recorder.clients.workers))
    if load.workload in ("churn", "rest") or seen.server.listener is None or lost:
        return None  # what had ended before the server's sockets were counted is in no count
    at_settled = accepts.since_before(seen.server)
    if at_settled is None:
        return None
    # Counted when the last connect was settled; one that was answered later has been accepted since.
    least = [at_settled, recorder.clients.totals()["first_byte"]]
    if seen.ghosts is not None:
        # Connections that were there before may have been closed meanwhile. Of this run's, so many are not queued.
        at_server = seen.ghosts.client_established - seen.ghosts.count
        least.append(at_server - (seen.server.listener.queued_at_end or 0))
    # Others may have been accepted meanwhile; of this run, no more than connected.
    return min(max(least), recorder.clients.totals()["connected"])


def _served(run: _Run, funnel: Funnel, ghosts: Ghosts | None) -> Funnel:
    """What was held and never accepted, or never reached the server, was not completed, though its close went well."""
    if run.request.command != "hold":
        return funnel
    served = funnel.completed - (ghosts.at_close or 0 if ghosts is not None else 0)
    if funnel.accepted is not None:
        served = min(funnel.completed, funnel.accepted)
    return funnel.replace(completed=max(0, served))


def _stopped(exchange: Exchange) -> str:
    return "no_http" if exchange.reply == HTTP else "no_echo"


def _result(run: _Run, recorder: Recorder, seen: Observed, started_at: float) -> RunResult:
    clients, servers = recorder.clients, recorder.servers
    blocks = [worker.block for worker in clients.workers]
    staying = len(blocks) - run.plan.visiting
    server_blocks = [worker.block for worker in servers.workers] if servers else []
    totals = clients.totals()
    ended = totals["ended_ns"] or time.monotonic_ns()
    elapsed_s = max(0, ended - totals["started_ns"]) / 1e9 if totals["started_ns"] else 0.0
    drain_s = None if run.load.until_told else max(0.0, elapsed_s - run.request.duration_s)
    return RunResult(
        command=run.request.command,
        config=dict(run.config),
        host=host.facts(),
        started_at_s=started_at,
        elapsed_s=round(elapsed_s, 4),
        drain_s=None if drain_s is None else round(drain_s, 4),
        engine=engine_name(),
        stopped=_stopped(run.load.exchange) if totals["no_echo"] else None,
        funnel=_served(run, outcome.funnel(totals, _accepted(recorder, seen, run.load)), seen.ghosts),
        failures=outcome.failures([*blocks, *server_blocks]),
        requests=outcome.requests(blocks, totals, run.load),
        open_loop=outcome.open_loop(fleet.totals(b.counts() for b in blocks[:staying]), run.load),
        visitors=outcome.visitors(blocks[staying:], run.visitors),
        latency=outcome.latency(blocks, totals),
        syn_retransmits={} if is_unix(run.target[0]) else outcome.syn_retransmits(blocks),
        timeline=recorder.timeline(),
        error_orders=outcome.error_orders(blocks),
        arrival_order=None if run.load.gaps_s else outcome.arrival_order(blocks[:staying]),
        idle_gaps=outcome.idle_gaps(blocks[0], run.load),
        stalls=outcome.stalls(blocks),
        ghosts=seen.ghosts,
        client=seen.client.replace(workers=outcome.workers(clients, recorder.figures())),
        server=seen.server.replace(workers=outcome.workers(servers, recorder.figures()) if servers else []),
        estab_version=__version__,
    )
