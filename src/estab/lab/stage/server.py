"""The server of a stage: what serves, in the server's namespace, and what is seen of it there meanwhile.

What serves is the engine's server, an idle listener made by hand, or any foreign command. All of it runs in a child.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

from estab.errors import MachineError
from estab.lab.process import linux
from estab.lab.process.child import Child, say
from estab.lab.process.isolation import descendants, end_descendants
from estab.lab.process.stopping import resume, stop
from estab.load import outcome
from estab.load.fleet import Fleet
from estab.load.serving import Service, serving
from estab.observe import host
from estab.observe.sock_diag import SockDiag
from estab.observe.unix_watch import watch_of
from estab.observe.watch import EndsSample, Observed, Watch
from estab.records import Failure, ServerSide

_SAMPLE_EVERY_S = 0.02
LISTENS_WITHIN_S = 10.0
Moment = tuple[float, EndsSample, int | None]  # monotonic seconds, what was seen, accepted so far


@dataclass(frozen=True)
class Foreign:
    """A program of the user's: `command` is run without a shell, and must listen on `host` and `port`."""

    command: str
    host: str
    port: int


@dataclass(frozen=True)
class ByHand:
    """A listening socket made by hand, from which nobody accepts."""

    host: str
    port: int
    backlog: int


@dataclass(frozen=True)
class IfFree:
    """The service where its port can be had, else nobody."""

    service: Service


@dataclass(frozen=True)
class Nobody:
    """No server at all on `host` and `port`; its end is watched all the same."""

    host: str
    port: int


ServerSpec = Service | Foreign | ByHand | IfFree | Nobody


@dataclass(frozen=True)
class ServerRun:
    """The server's end over one run: what `Watch` saw, sample by sample too, and the engine's own word."""

    server: ServerSide
    moments: list[Moment]
    accepted: int | None
    failures: list[Failure]
    established: frozenset[bytes] | None


class RunningServer:
    """A server's child, from outside."""

    def __init__(self, child: Child[ServerRun], what: ServerSpec) -> None:
        self._child, self.what = child, what
        self._finished: ServerRun | None = None
        child.receive()

    def tell(self, message: object) -> None:
        """Pause, resume, settled, ("listen", backlog) or ("stop", count); returns once it is done."""
        self._child.send(message)
        self._child.receive()

    def finish(self) -> ServerRun:
        """Ends it; what was seen of it."""
        if self._finished is None:
            self._child.send("finish")
            self._finished = self._child.result()
        return self._finished


def attend(what: ServerSpec, nofile: int | None, connection: Connection) -> ServerRun:
    """Serves until told to finish. Messages: "settled", "pause", "resume", ("listen", backlog), ("stop", so many of its
    processes), "finish"."""
    if nofile is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, hard))
    with _serving(what) as (fleet, pids, address, port, listener):
        watch = watch_of(address, port, server_pids=pids)
        with contextlib.closing(watch):
            watch.start()
            say(connection, (address, port))
            serving_loop = _ServingLoop(watch, fleet, pids, port, listener)
            serving_loop.stay(connection)
            return serving_loop.seen(watch.finish())


@contextlib.contextmanager
def _serving(what: ServerSpec) -> Iterator[tuple[Fleet | None, list[int], str, int, socket.socket | None]]:
    if isinstance(what, Service):
        with serving(what) as (fleet, address):
            yield fleet, fleet.pids(), address[0], address[1], None
    elif isinstance(what, ByHand):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((what.host, what.port))
            listener.listen(what.backlog)
            yield None, [os.getpid()], what.host, what.port, listener
    elif isinstance(what, Foreign):
        with _program(what) as pids:
            yield None, pids, what.host, what.port, None
    elif isinstance(what, IfFree):
        with _serving(
            what.service if _is_free(what.service) else Nobody(what.service.host, what.service.port)
        ) as served:
            yield served
    else:
        yield None, [], what.host, what.port, None


def _is_free(service: Service) -> bool:
    """Whether a listener gets the service's port, with SO_REUSEADDR as servers have it."""
    try:
        socket.create_server((service.host, service.port)).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    return True


@contextlib.contextmanager
def _program(what: Foreign) -> Iterator[list[int]]:
    """The processes of a foreign server, once it listens; it dies with this child, also where it is a daemon."""
    parent = os.getpid()
    linux.adopt_orphans()
    try:
        process = subprocess.Popen(
            shlex.split(what.command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a group of its own to the scheduler too, where that shares by session
            preexec_fn=lambda: linux.die_with_parent(parent),  # noqa: PLW1509 - this child has one thread
        )
    except OSError as error:
        raise MachineError(f"can't start the server {what.command!r}: {error.strerror}") from error
    try:
        _wait_listening(what, process)
        yield descendants()
    finally:
        process.kill()
        process.wait()
        end_descendants()
        if process.stderr:
            process.stderr.close()


def _wait_listening(what: Foreign, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + LISTENS_WITHIN_S
    with SockDiag() as diag:
        while not diag.listening(what.port):
            if process.poll():  # one that ends with status 0 may have made a daemon of itself
                said = process.stderr.read().decode("utf-8", "replace").split("\n") if process.stderr else []
                last = next((line for line in reversed(said) if line.strip()), "without a word")
                raise MachineError(f"the server {what.command!r} ended at once (status {process.returncode}): {last}")
            if time.monotonic() > deadline:
                raise MachineError(
                    f"the server {what.command!r} did not listen on port {what.port} within {LISTENS_WITHIN_S:g} s; "
                    f"{{port}} in the command stands for the port, {{host}} for the address"
                )
            time.sleep(0.01)


class _ServingLoop:
    def __init__(
        self, watch: Watch, fleet: Fleet | None, pids: list[int], port: int, listener: socket.socket | None
    ) -> None:
        self.watch, self.fleet, self.pids, self.port, self.listener = watch, fleet, pids, port, listener
        self.moments: list[Moment] = []
        self.established: frozenset[bytes] | None = None
        self.cpu = outcome.WorkerCpuWatch()

    def stay(self, connection: Connection) -> None:
        """Samples until "finish"."""
        orders: Mapping[str, Callable[[], object]] = {
            "settled": self._settled,
            "pause": lambda: stop(self.pids),
            "resume": lambda: resume(self.pids),
        }
        while True:
            self._sample()
            if not connection.poll(_SAMPLE_EVERY_S):
                continue
            message = connection.recv()
            if message == "finish":
                self._sample()
                return
            if isinstance(message, tuple) and message[0] == "stop":
                stop(self.pids[: message[1]])
            elif isinstance(message, tuple):
                assert self.listener is not None
                self.listener.listen(message[1])
            else:
                orders[message]()
            say(connection, "done")

    def _settled(self) -> None:
        self.watch.settled()
        with SockDiag() as diag:
            self.established = diag.established_at(self.port)

    def _sample(self) -> None:
        workers = self.fleet.workers if self.fleet else []
        accepted = sum(worker.block.get("accepted") for worker in workers)
        known = self.fleet is not None or self.listener is not None
        self.moments.append((time.monotonic(), self.watch.sample(), accepted if known else None))
        for worker in workers:
            self.cpu.look(worker.pid, time.monotonic_ns(), worker.block.get("cpu_ns"))

    def seen(self, observed: Observed) -> ServerRun:
        """All that was seen."""
        fleet, server = self.fleet, observed.server
        accepted: int | None = 0 if self.listener is not None else None
        failures: list[Failure] = []
        if fleet is not None:
            resume(self.pids)
            fleet.stop()
            soft, _hard = host.own_open_files()
            workers = outcome.workers(fleet, outcome.ProcessFigures(soft, self.cpu, {}, self.watch.worst_fds))
            server = server.replace(workers=workers)
            accepted = fleet.totals()["accepted"]
            failures = outcome.failures(worker.block for worker in fleet.workers)
        elif server.listener is not None and self.listener is None:
            # It may go on accepting what waited when all was settled.
            held = (sample.server_held for _, sample, _ in self.moments)
            known = [count for count in (server.listener.accepted_at_end, *held) if count is not None]
            accepted = max(known, default=None)
            server = server.replace(embedded=False)
        return ServerRun(server, self.moments, accepted, failures, self.established)
