"""Plays one twin: namespaces, the server, the load; both ends joined and judged."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from estab.api.bench import bench
from estab.api.churn import churn
from estab.api.hold import hold
from estab.api.recorder import Progress
from estab.api.request import LoadOptions
from estab.errors import UsageError
from estab.lab.process.namespace import Namespace, sysctl
from estab.lab.stage import build
from estab.lab.stage.setup import Replay, Setup
from estab.lab.stage.stage import PORT, Load, Server, Stage
from estab.lab.wire.relay import GATHER_S
from estab.load.plan import OWN_DESCRIPTORS
from estab.observe import snapshot
from estab.records import RunResult, Snapshot

Tell = Callable[[Progress], None]


def fitted(setup: Setup) -> tuple[Setup, list[str]]:
    """The twin as this machine can build it, and what it can't: sysctls this kernel lacks, descriptors not allowed."""
    lost: list[str] = []
    space = Namespace("probe")
    with space.entered():
        kept = {
            host: tuple(one for one in there if _writable(*one, lost))
            for host, there in (("client", setup.client), ("server", setup.server))
        }
    space.close()
    client, server = (_allowed(limit, lost) for limit in (setup.client_nofile, setup.server_nofile))
    bound = _bindable(setup.bound, lost)
    made = replace(
        setup, bound=bound, client_nofile=client, server_nofile=server, client=kept["client"], server=kept["server"]
    )
    return made, list(dict.fromkeys(lost))


def _writable(name: str, value: int | str, lost: list[str]) -> bool:
    try:
        sysctl(name, value)
    except (UsageError, OSError) as error:
        lost.append(f"{name}={value}: {error.strerror if isinstance(error, OSError) else error}")
        return False
    return True


def _bindable(ports: int, lost: list[str]) -> int:
    """As many sockets as one process of this machine may have, less what it needs itself."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or ports <= hard - OWN_DESCRIPTORS:
        return ports
    lost.append(f"{ports:,} ports owned by bind(): the hard limit of descriptors is {hard:,} (--scale helps)")
    return hard - OWN_DESCRIPTORS


def _allowed(limit: int | None, lost: list[str]) -> int | None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit is None or limit <= hard or hard == resource.RLIM_INFINITY:
        return limit
    lost.append(f"RLIMIT_NOFILE {limit}: the hard limit here is {hard}")
    return hard


def play(setup: Setup) -> RunResult:
    """The run of this twin. Raises MachineError where the machine can't, UsageError for what the load refuses."""
    with playing(setup) as (stage, server, load):
        _stand_still(stage, server, load, setup)
        return stage.finish(server, load)


@dataclass(frozen=True)
class Look:
    """When to look at a twin: `after_s` after its load began; or after the first look, `first_s` after it began.

    `first_s` None: one look; 0: the first one before the load. `at_client`: at the ports of the client.
    """

    first_s: float | None
    after_s: float
    at_client: bool


def looked_at(setup: Setup, look: Look) -> tuple[RunResult, list[Snapshot]]:
    """The run of this twin, and the snapshots that were taken of its host meanwhile. Raises as `play`."""
    taken: list[Snapshot] = []

    def take(stage: Stage) -> None:
        space = stage.client if look.at_client else stage.server
        toward = (stage.host, PORT) if look.at_client else None
        with space.entered():
            taken.append(snapshot.take(port=PORT, toward=toward))

    with playing(setup, take if look.first_s == 0 else lambda _stage: None) as (stage, server, load):
        load.begun()
        began = time.monotonic()
        if look.first_s:
            wait(stage, server, load, began + look.first_s)
            take(stage)
        wait(stage, server, load, began + (look.first_s or 0.0) + look.after_s)
        take(stage)
        for _start, end in setup.pauses:
            wait(stage, server, load, began + end)
            server.tell("resume")
        return stage.finish(server, load), taken


@contextlib.contextmanager
def playing(
    setup: Setup, before: Callable[[Stage], None] = lambda _stage: None
) -> Iterator[tuple[Stage, Server, Load]]:
    """A twin whose load has just been started, after `before(stage)`: the stage, the server and the load.

    A server whose first pause is from 0 on stands still already.
    """
    with (
        Stage(build.wire(setup), client=dict(setup.client), server=dict(setup.server)) as stage,
        build.surroundings(stage, setup),
    ):
        sources = build.sources(stage, setup)
        server = stage.serve(build.server(stage.host, setup), nofile=setup.server_nofile)
        stage.server.configure(dict(setup.late))
        at_once = bool(setup.pauses) and setup.pauses[0][0] <= 0
        if at_once:
            server.tell("pause")
        before(stage)
        load = stage.load(
            lambda progress: _replay(setup.load, stage.target, sources, progress), nofile=setup.client_nofile
        )
        yield stage, server, load


def _stand_still(stage: Stage, server: Server, load: Load, setup: Setup) -> None:
    """The server's pauses, at the record's own times."""
    wanted = [(at, what) for start, end in setup.pauses for at, what in ((start, "pause"), (end, "resume"))]
    wanted += [(setup.stops_after_s, "pause")] if setup.stops_after_s is not None else []
    if not wanted:
        return
    load.begun()
    _arrive(stage, setup)
    began = time.monotonic()
    for at_s, what in wanted:
        wait(stage, server, load, began + at_s)
        if (at_s, what) != (0.0, "pause"):
            server.tell(what)


def _arrive(stage: Stage, setup: Setup) -> None:
    """What is to come together has come: on a busy machine it may take longer than the pause that it is to meet."""
    deadline = time.monotonic() + GATHER_S
    while len(stage.wire_report().syns if setup.path.gather else ()) < setup.path.gather:
        if time.monotonic() > deadline:
            return
        time.sleep(0.002)


def wait(stage: Stage, server: Server, load: Load, until: float) -> None:
    """Waits until that time (monotonic); a load that is settled meanwhile is looked at then."""
    while (left := until - time.monotonic()) > 0:
        if load.looked:
            time.sleep(left)
        elif load.child.connection.poll(left):
            stage.settle(server, load)


def _replay(load: Replay, target: str, sources: Sequence[str], progress: Tell) -> RunResult:
    options = LoadOptions(timeout_s=load.timeout_s, sources=tuple(sources), processes=load.processes)
    if load.command == "hold":
        return hold(
            target, connections=load.connections, duration_s=load.duration_s, ramp_per_s=load.ramp_per_s,
            in_flight=load.in_flight, reset=load.reset, options=options, progress=progress,
        )  # fmt: skip
    if load.command == "bench":
        return bench(
            target, connections=load.connections, duration_s=load.duration_s, size_bytes=load.size_bytes,
            mode=load.mode, depth=load.depth, options=options, progress=progress,
        )  # fmt: skip
    return churn(
        target, connections=load.connections, duration_s=load.duration_s, attempts=load.attempts,
        size_bytes=load.size_bytes, close="rst" if load.reset else "fin", first_close=load.first_close,
        options=options, progress=progress,
    )  # fmt: skip
