"""`find_ceiling`: how many connections can be held at once, and what sets that number."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import replace

from estab.api.hold import hold
from estab.api.limits import limits
from estab.api.machine import machine
from estab.api.recorder import ProgressCallback
from estab.api.request import DEFAULT_OPTIONS, LoadOptions
from estab.errors import EstabError, MachineError, UsageError
from estab.kernel.rules import memory
from estab.load import plan
from estab.load.conductor import Stop
from estab.load.search import CeilingSearch
from estab.load.target import resolve_any
from estab.observe.system import read_memory_available
from estab.records import RunResult
from estab.records.failure import OF_CONNECTED
from estab.records.search import Ceiling, CeilingStep

MOST = 1_000_000
HELD_S = 0.2
IN_FLIGHT = 200  # a burst would test the accept queue, not how many fit
_PORTS = ("ephemeral_port_exhaustion", "time_wait_port_exhaustion", "bound_ports_poisoned")
_MEMORY_SHARE = 0.7  # of what is available

StepCallback = Callable[[CeilingStep], None]


def find_ceiling(
    target: str | None = None,
    *,
    most: int | None = None,
    options: LoadOptions = DEFAULT_OPTIONS,
    stop: Stop | None = None,
    progress: ProgressCallback | None = None,
    stepped: StepCallback | None = None,
) -> Ceiling:
    """Opens and closes ever more connections to `target` ("HOST:PORT"; None: an embedded server) until some fail.

    It starts from what `limits` predicts, climbs until some fail, backs off, and closes in until N hold and N + 1 do
    not. Where a setting of ours is what was met (ports of one source address, descriptors of our own processes), it is
    moved, and the search goes on. `most` bounds it; None: what fits in memory, at most 1,000,000. Connections are
    closed by RST, so that no TIME_WAIT of one attempt takes the ports of the next. `stepped` is told of each attempt.

    The server has to notice that its peers are gone: one that does not keeps the next attempt from fitting, and the
    result then says that it is not confirmed. Raises as `hold` does.
    """
    check_searchable(options)
    most = _most(most, target)
    predicted, by = _predict(target)
    attempts = _Attempts(target, CeilingSearch(most, first=max(1, min(most, (predicted or 1_000) + 1))), options)

    def once(connections: int) -> RunResult:
        return hold(
            target, connections=connections, duration_s=HELD_S, in_flight=IN_FLIGHT, reset=True,
            options=attempts.options, stop=stop, progress=progress,
        )  # fmt: skip

    while (connections := attempts.search.next()) is not None:
        try:
            run = once(connections)
        except MachineError as error:
            attempts.cannot(connections, error)
            continue
        if run.interrupted:
            break
        attempts.add(run, connections)
        if stepped is not None:
            stepped(attempts.steps[-1])
    interrupted = stop is not None and stop.is_set
    return attempts.result().replace(predicted=predicted, predicted_by=by, interrupted=interrupted)


def check_searchable(options: LoadOptions) -> None:
    """Raises UsageError for options that no search takes."""
    if options.server_via is not None:
        raise UsageError("a search uses only what this host shows: leave out `server_via`")


class _Attempts:
    """What has been tried, with which options, and what it says. Options of ours may be moved."""

    def __init__(self, target: str | None, search: CeilingSearch, options: LoadOptions) -> None:
        self.target, self.search, self.options = target, search, options
        self.steps: list[CeilingStep] = []
        self._before_move: LoadOptions | None = None
        self._moved_run: RunResult | None = None
        self._met: RunResult | None = None
        self._note: str | None = None

    def add(self, run: RunResult, asked: int) -> None:
        """One more attempt."""
        step = _step(run, asked)
        moved = None if not step.failed or self._note else _move(self.options, step, self.target)
        if moved is not None:
            self._before_move, self._moved_run = self.options, run
            self.options, step = moved[0], step.replace(moved=moved[1])
        elif step.failed:
            self.search.failed(asked, step.held)
            self._met = run
        else:
            self.search.held(asked)
        self.steps.append(step)

    def cannot(self, asked: int, error: MachineError) -> None:
        """This machine refuses the settings that were moved: those before it are the end of it."""
        if self._before_move is None or not self.steps or not self.steps[-1].moved:
            raise error
        self.options, self._note, self._met = self._before_move, str(error), self._moved_run
        self.steps[-1] = self.steps[-1].replace(moved=None)
        self.search.failed(asked, self.steps[-1].held)

    def result(self) -> Ceiling:
        """What is known by now."""
        search, met = self.search, self._met
        reached = max((step.held for step in self.steps), default=0)
        kept = search.low == 0 and reached > 0 and search.high is not None
        stays = "a first attempt reached it, later ones did not: the server keeps what has long been closed"
        return Ceiling(
            target=self.target or "embedded server",
            most=search.most,
            steps=self.steps,
            ceiling=(reached if kept else search.low) or None,
            met=search.high is not None,
            confirmed=search.confirmed,
            set_by=met.cause if met else None,
            diagnosis=met.diagnosis if met else None,
            note=stays if kept else self._note,
        )


def _most(most: int | None, target: str | None) -> int:
    if most is not None:
        plan.check_range("most", most, 1, plan.MOST_CONNECTIONS)
        return most
    each = memory.BYTES_PER_IDLE_PAIR / (1 if target is None else 2)
    fit = memory.connections(round(read_memory_available() * _MEMORY_SHARE), each) or MOST
    return max(1, min(MOST, fit))


def _predict(target: str | None) -> tuple[int | None, str | None]:
    """The narrowest limit that is known, by name. The embedded server's own is as wide as can be."""
    try:
        ladder = limits(target)
    except EstabError:
        return None, None
    narrowest = next((limit for limit in ladder.limits if limit.limit == ladder.binding), None)
    if narrowest is None or narrowest.capacity_connections is None:
        return None, None
    return narrowest.capacity_connections, narrowest.limit


def _step(run: RunResult, asked: int) -> CeilingStep:
    ghosts = run.ghosts.count if run.ghosts else 0
    held = max(0, run.funnel.connected - ghosts - sum(f.count for f in run.failures if f.phase in OF_CONNECTED))
    sources, processes = run.config.get("sources"), run.config.get("processes")
    # A server that hit a limit of its own has left connections unserved that this side holds.
    unserved = run.funnel.accepted is not None and run.funnel.accepted < run.funnel.connected
    if unserved and run.funnel.accepted is not None and any(f.phase == "accept" for f in run.failures):
        held = min(held, run.funnel.accepted)
    return CeilingStep(
        asked=asked,
        held=held,
        failed=asked - held,
        seconds=run.elapsed_s,
        cause=run.cause if held < asked else None,
        sources=max(1, len(sources)) if isinstance(sources, list) else 1,
        processes=processes if isinstance(processes, int) else 1,
    )


def _move(options: LoadOptions, step: CeilingStep, target: str | None) -> tuple[LoadOptions, str] | None:
    """Our options with what was met moved out of the way, and what that was; None where nothing of ours was met."""
    if step.cause in _PORTS:
        wider = _more_sources(step, target, options)
        return None if wider is None else (options.replace(sources=wider), f"{len(wider)} source addresses")
    if step.cause == "client_open_files":
        room = max(1, machine().nofile - plan.OWN_DESCRIPTORS)
        needed = min(plan.MOST_PROCESSES, -(-step.asked // room))
        if needed > step.processes:
            return options.replace(processes=needed), f"{needed} client processes"
    if step.cause == "server_open_files" and target is None:
        room = max(1, machine().nofile - plan.OWN_DESCRIPTORS)
        needed = min(plan.MOST_PROCESSES, -(-step.asked * 130 // (room * 100)))
        if needed > options.service.processes:
            service = replace(options.service, processes=needed)
            return options.replace(service=service), f"{needed} server processes"
    return None


def _more_sources(step: CeilingStep, target: str | None, options: LoadOptions) -> tuple[str, ...] | None:
    """More local addresses than were used; None where this host has no more that could reach the target."""
    host = "127.0.0.1" if target is None else resolve_any(target, family=options.address_family)[0]
    address = ipaddress.ip_address(host.split("%", maxsplit=1)[0])
    if address.version == 4 and address.is_loopback:
        return plan.loopback_addresses(min(2 * step.sources, 1_000))
    if address.is_loopback:
        return None
    import psutil  # slow to load, and no other load needs it

    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    own = [entry.address for entries in psutil.net_if_addrs().values() for entry in entries if entry.family == family]
    usable = sorted(text for text in own if "%" not in text and not ipaddress.ip_address(text).is_loopback)
    return tuple(usable) if len(usable) > step.sources else None
