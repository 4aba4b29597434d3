"""A program's run as one of a load that opens as much: what its twin replays. Pure.

What a program sent and for how long it kept its connections is not in the record: its twin connects as often, has as
many open at once, and sends nothing.
"""

from __future__ import annotations

import math

from estab.diagnose import descriptors, local_ports
from estab.diagnose.suspects import BY_ID
from estab.kernel.rules.accept_queue import room
from estab.records import Failure, ListenerWatch, RunResult, UnixQueue, Worker
from estab.words import plural

_MORE = 0.1  # of what fits: how many more are taken to come than there are descriptors, or ports, for
_TIMEOUT_S = 3.0
_MOST_REFUSED = 100
_PORTS = ("bound_ports_poisoned", "time_wait_port_exhaustion", "ephemeral_port_exhaustion")


def as_load(run: RunResult, assumed: list[str]) -> RunResult:
    """`run` as `estab hold` or, where connections came and went, `estab churn` would have made it."""
    if run.cause == "unix_accept_queue_overflow" and run.program is not None and run.program.unix_queues:
        return _over_unix(run, run.program.unix_queues[0], assumed)
    opened = max(1, run.funnel.attempted)
    together = max([1, *(point.open for point in run.timeline)])
    wanted = max(opened, _beyond(run))
    kept = opened <= 2 * together
    assumed.append(
        f"the program's connects are played as {plural(wanted, 'connection')} "
        + ("that are held" if kept else f"that come and go, {together:,} at a time")
    )
    config: dict[str, int | float | str | bool | list[str] | None] = {
        "target": run.config.get("target"),
        "connections": wanted if kept else together,
        "in_flight": wanted if kept else together,
        "duration_s": max(0.5, run.elapsed_s),
        "timeout_s": _TIMEOUT_S,
        "attempts": 0 if kept else wanted,
        "size_bytes": 0,
    }
    client = run.client.replace(workers=_workers(run))
    return run.replace(command="hold" if kept else "churn", config=config, client=client)


def _over_unix(run: RunResult, queue: UnixQueue, assumed: list[str]) -> RunResult:
    """As many as fit into the UNIX socket's queue and, beside them, as many as were refused, whoever they were.

    Of those that were refused again and again, 100 say all that there is to say.
    """
    refused = BY_ID["unix_accept_queue_overflow"].failures(run)
    wanted = room(queue.limit) + min(refused, _MOST_REFUSED)
    assumed.append(f"whoever connected is played as {plural(wanted, 'connection')} that come at once and are held")
    watch = ListenerWatch(
        address=queue.address,
        port=0,
        listeners=1,
        limit=queue.limit,
        worst_depth=queue.worst_depth,
        last_depth=0,
        samples=queue.looks,
        full_samples=queue.full_looks,
        rose_only=False,
    )
    config: dict[str, int | float | str | bool | list[str] | None] = {
        "target": queue.address,
        "connections": wanted,
        "in_flight": wanted,
        "duration_s": 1.0,
        "timeout_s": _TIMEOUT_S,
    }
    return run.replace(
        command="hold",
        config=config,
        program=None,
        timeline=[],
        failures=[Failure(phase="connect", errno="EAGAIN", count=wanted - room(queue.limit))],
        server=run.server.replace(observed=True, listener=watch, listeners=[]),
        client=run.client.replace(workers=[]),
    )


def _beyond(run: RunResult) -> int:
    """How many it takes to meet what bounded the client itself; 0: nothing did."""
    full, use = descriptors.fullest_client(run), run.client.port_use
    if run.cause == "client_open_files" and full is not None:
        return math.ceil(full.limit * (1 + _MORE))
    room = local_ports.capacity(use) if use is not None else None
    if run.cause in _PORTS and room is not None and use is not None:
        return math.ceil(room * max(1, use.sources) * (1 + _MORE)) + 1
    return 0


def _workers(run: RunResult) -> list[Worker]:
    """The program's fullest process, whose bound on descriptors the twin's client gets."""
    full = descriptors.fullest_client(run)
    return [] if full is None else [Worker(pid=full.pid, role="client", nofile_soft=full.limit, worst_fds=full.fds)]
