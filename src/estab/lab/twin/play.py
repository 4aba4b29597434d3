"""Plays one twin: namespaces, the server, the load; both ends joined and judged."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from estab.api.bench import bench
from estab.api.churn import churn
from estab.api.hold import hold
from estab.api.run import Progress
from estab.errors import UsageError
from estab.lab.serving import Nobody, What
from estab.lab.space import Space, ip_batch, sysctl
from estab.lab.stage import CLIENT, PORT, Stage
from estab.lab.twin.setup import Replay, Setup
from estab.lab.wire.spec import WireSpec
from estab.load.serving import Service
from estab.records import RunResult

Tell = Callable[[Progress], None]


def fitted(setup: Setup) -> tuple[Setup, list[str]]:
    """The twin as this machine can build it, and what it can't: sysctls this kernel lacks, descriptors not allowed."""
    lost: list[str] = []
    space = Space("probe")
    with space.entered():
        kept = {
            host: tuple(one for one in there if _writable(*one, lost))
            for host, there in (("client", setup.client), ("server", setup.server))
        }
    space.close()
    client, server = (_allowed(limit, lost) for limit in (setup.client_nofile, setup.server_nofile))
    made = replace(setup, client_nofile=client, server_nofile=server, client=kept["client"], server=kept["server"])
    return made, list(dict.fromkeys(lost))


def _writable(name: str, value: int | str, lost: list[str]) -> bool:
    try:
        sysctl(name, value)
    except (UsageError, OSError) as error:
        lost.append(f"{name}={value}: {error.strerror if isinstance(error, OSError) else error}")
        return False
    return True


def _allowed(limit: int | None, lost: list[str]) -> int | None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit is None or limit <= hard or hard == resource.RLIM_INFINITY:
        return limit
    lost.append(f"RLIMIT_NOFILE {limit}: the hard limit here is {hard}")
    return hard


def play(setup: Setup) -> RunResult:
    """The run of this twin. Raises MachineError where the machine can't, UsageError for what the load refuses."""
    wire = None if setup.rtt_s is None else WireSpec(rtt_s=setup.rtt_s)
    with Stage(wire, client=dict(setup.client), server=dict(setup.server)) as stage:
        sources = _sources(stage, setup)
        server = stage.serve(_server(stage.host, setup), nofile=setup.server_nofile)
        stage.server.configure(dict(setup.late))
        load = stage.load(
            lambda progress: _replay(setup.load, stage.target, sources, progress), nofile=setup.client_nofile
        )
        if setup.stops_after_s is not None:
            load.begun()
            time.sleep(setup.stops_after_s)  # the record's own time
            server.tell("pause")
        return stage.finish(server, load)


def _server(host: str, setup: Setup) -> What:
    if not setup.listens:
        return Nobody(host, PORT)
    closes = setup.load.size_bytes if setup.load.first_close == "server" else None
    return Service(
        "echo" if setup.accepts else "stall", host, PORT, setup.backlog, setup.accept_gap_s, setup.processes, closes
    )


def _sources(stage: Stage, setup: Setup) -> Sequence[str]:
    """As many addresses at the client as the twin wants, put there where they are not."""
    many = setup.load.sources
    if many == 0:
        return ()
    if setup.rtt_s is None:
        return [f"127.0.0.{number}" for number in range(1, many + 1)]
    more = [f"10.77.0.{number}" for number in range(3, many + 2)]
    if more:
        with stage.client.entered():
            ip_batch([f"address add {one}/24 dev eth0" for one in more])
    return [CLIENT, *more]


def _replay(load: Replay, target: str, sources: Sequence[str], progress: Tell) -> RunResult:
    if load.command == "hold":
        return hold(
            target, connections=load.connections, duration_s=load.duration_s, ramp_per_s=load.ramp_per_s,
            in_flight=load.in_flight, timeout_s=load.timeout_s, reset=load.reset, sources=sources,
            workers=load.workers, progress=progress,
        )  # fmt: skip
    if load.command == "bench":
        return bench(
            target, connections=load.connections, duration_s=load.duration_s, size_bytes=load.size_bytes,
            mode=load.mode, depth=load.depth, timeout_s=load.timeout_s, sources=sources, workers=load.workers,
            progress=progress,
        )  # fmt: skip
    return churn(
        target, connections=load.connections, duration_s=load.duration_s, attempts=load.attempts,
        size_bytes=load.size_bytes, timeout_s=load.timeout_s, close="rst" if load.reset else "fin",
        first_close=load.first_close, sources=sources, workers=load.workers, progress=progress,
    )  # fmt: skip
