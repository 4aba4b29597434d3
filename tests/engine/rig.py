"""Runs one case: a worker in a child process with a fault chosen, its peer beside it, and what came of it.

What lives here: processes, pipes and blocks. Whether what came of it is right is for checks.py. Each child has an alarm
that ends it, so that nothing here waits for ever.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.engine.cases import ALSO, WHEN, Case

from estab.load.block import DONE, RUNNING, SETTLED, Block
from estab.load.exchange import HTTP, NOTHING, Exchange, echo
from estab.load.plan import ClientLoad, Machine, make

WATCHDOG_S = 20  # of a worker with a fault; its peer outlives it
PEER_WATCHDOG_S = 60
EMPTIES_WITHIN_S = 2.0
NEVER = 2**64 - 1
MS = 1_000_000


Worker = Callable[[int, int, Mapping[str, Any]], None]


class Engine(Protocol):
    """An engine that can be told to fail: the one in C (faults.c) or the one in Python (pyfaults.py)."""

    def run_client(self, block_fd: int, control_fd: int, config: Mapping[str, Any], /) -> None: ...
    def run_server(self, block_fd: int, control_fd: int, config: Mapping[str, Any], /) -> None: ...
    def choose(self, which: int, call: str, code: int, first: int, every: int) -> None: ...
    def seen(self) -> dict[str, int]: ...


@dataclass
class Outcome:
    """What came of one worker. `end`: done, refused (an OSError at its start), hung, or died."""

    end: str
    why: str = ""
    state: int = 0
    seen: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    failures: dict[tuple[str, str], int] = field(default_factory=dict)


_REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd"
HTTP_ECHO = Exchange(HTTP, len(_REPLY), _REPLY, renews=True)  # what an echo server makes of it is a reply
_COMMON = {
    "timeout_ns": 150 * MS, "drain_ns": 100 * MS, "sources": [("127.0.0.1", 0, 0)],
}  # fmt: skip
_PORTS = {"port_low": 20_000, "port_count": 1_000}
# What differs from the plan of six connections.
CLIENT_WORK: dict[str, dict[str, Any]] = {
    "rr": {"workload": "rr", "depth": 3, **_PORTS},
    "rr_single": {"workload": "rr", "connections": 1, "in_flight": 1},
    "flood": {"workload": "flood", "size": 5000},
    "hold": {"workload": "hold", **NOTHING.config()},
    "churn": {"workload": "churn", "reset": True, **_PORTS},
    "churn_fin": {"workload": "churn", "size": 100, "server_closes_first": True},
    "churn_rate": {"workload": "churn", "rate_per_s": 3000.0, **_PORTS},
    "rate": {"workload": "rate", "rate_per_s": 3000.0},
    "http": {"workload": "rr", **HTTP_ECHO.config()},
    "http_flood": {"workload": "flood", **HTTP_ECHO.config()},
    "rest": {"workload": "rest", "duration_ns": 0, "gaps_ns": [5 * MS, 20 * MS], "most_lost": 4},
}
_SERVER = {
    "service": 0, "accept_gap_ns": 0, "pause_ns": 0, "pause_every_ns": 0, "close_after": NEVER, "reset": False,
}  # fmt: skip
# What the server is asked, and what its clients do.
SERVER_WORK: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "echo": ({}, {"workload": "churn"}),
    "echo_single": ({}, {"workload": "rr", "connections": 1, "in_flight": 1}),
    "sink": ({"service": 1}, {"workload": "flood"}),
    "echo_slow": ({"accept_gap_ns": 2 * MS}, {"workload": "churn"}),
    "echo_resets": ({"close_after": 1000, "reset": True}, {"workload": "churn", "server_closes_first": True}),
    "echo_pauses": ({"pause_ns": 5 * MS, "pause_every_ns": 15 * MS}, {"workload": "rr"}),
    "echo_spills": ({}, {"workload": "flood", "size": 65536}),
}


class Child:
    """A worker in a process of its own, with its block and its control pipe."""

    def __init__(self, engine: Engine, role: str, config: Mapping[str, Any], case: Case | None = None) -> None:
        self.block = Block.create(f"estab-{role}")
        self.block.set("start_ns", time.monotonic_ns())
        control, self._control = os.pipe()
        self._result, result = os.pipe()
        os.write(self._control, b"g" if role == "client" else b"")
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._control)
            os.close(self._result)
            try:
                run: Worker = engine.run_client if role == "client" else engine.run_server
                said = _work(engine, case, lambda: run(self.block.fd, control, config))
                os.write(result, json.dumps(said).encode())
            finally:
                os._exit(0)
        os.close(control)
        os.close(result)

    def say(self, word: bytes) -> None:
        try:
            os.write(self._control, word)
        except BrokenPipeError:
            return  # it has ended

    def reaches(self, state: int) -> bool:
        """Waits for its state. False: it ended before."""
        while self.block.get("state") < state:
            if self._has_ended():
                return self.block.get("state") >= state
            time.sleep(0.0005)
        return True

    def empties(self, listener: socket.socket | None) -> None:
        """Waits until it has no connection open, nor any to accept; in vain for a while at most."""
        until = time.monotonic() + EMPTIES_WITHIN_S
        while (_waiting(listener) or self.block.get("open")) and not self._has_ended() and time.monotonic() < until:
            time.sleep(0.0005)

    def _has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def outcome(self) -> Outcome:
        """Waits for its end, which its alarm bounds."""
        _pid, status = os.waitpid(self.pid, 0)
        said = os.read(self._result, 65536)
        outcome = Outcome("died", f"exit status {os.waitstatus_to_exitcode(status)}")
        if status == signal.SIGALRM:
            outcome = Outcome("hung")
        elif status == 0 and said:
            outcome = Outcome(**json.loads(said))
        outcome.state = self.block.get("state")
        outcome.counts = self.block.counts()
        outcome.failures = {(failure.phase, failure.errno): failure.count for failure in self.block.failures()}
        os.close(self._result)
        os.close(self._control)
        self.block.close()
        return outcome


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _work(engine: Engine, case: Case | None, run: Callable[[], None]) -> dict[str, Any]:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(WATCHDOG_S if case else PEER_WATCHDOG_S)
    before, end, why = _descriptors(), "done", ""
    if case is not None:
        engine.choose(0, case.call, case.code, *WHEN[case.when])
        if case.call in ALSO:
            engine.choose(1, *ALSO[case.call])
    try:
        run()
    except (OSError, MemoryError) as error:
        end, why = "refused", str(error)
    return {"end": end, "why": why, "seen": engine.seen() | {"descriptors": _descriptors() - before}}


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        listener.setblocking(False)
        yield listener


def _waiting(listener: socket.socket | None) -> int:
    """How many wait in its accept queue: a listener's tcpi_unacked (`tcp_get_info`, net/ipv4/tcp.c)."""
    if listener is None:
        return 0
    waiting: int = struct.unpack_from("=I", listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 28), 24)[0]
    return waiting


def _client_config(work: Mapping[str, Any], listener: socket.socket, load_ns: int) -> dict[str, Any]:
    target = ("127.0.0.1", int(listener.getsockname()[1]), 0)
    load = ClientLoad("hold", connections=6, duration_s=1, exchange=echo(1000))
    (planned,) = make(load, target, Machine(cores=1, nofile=1024, ports=None)).configs
    return {**planned, **_COMMON, "duration_ns": load_ns, **work}


def _server_config(work: Mapping[str, Any], listener: socket.socket) -> dict[str, Any]:
    return {**_SERVER, **work, "listener": listener.fileno()}


@contextmanager
def healthy_server(engine: Engine, case: Case) -> Iterator[socket.socket]:
    """A server without faults, as the clients of `case` need it. Gives its listener."""
    work = {"close_after": 100} if case.work == "churn_fin" else {}
    with listening() as listener:
        server = Child(engine, "server", _server_config(work, listener))
        assert server.reaches(RUNNING), server.outcome()
        try:
            yield listener
        finally:
            server.say(b"c")
            outcome = server.outcome()
        assert outcome.end == "done", outcome


def run_client(engine: Engine, case: Case, load_ns: int) -> Outcome:
    """A client with the fault, against a healthy server."""
    with healthy_server(engine, case) as listener:
        client = Child(engine, "client", _client_config(CLIENT_WORK[case.work], listener, load_ns), case)
        if case.work == "hold" and client.reaches(SETTLED):
            client.say(b"c")
        return client.outcome()


def run_server(engine: Engine, case: Case, load_ns: int) -> Outcome:
    """A server with the fault, and healthy clients, until the clients are gone."""
    asked, clients = SERVER_WORK[case.work]
    with listening() as listener:
        server = Child(engine, "server", _server_config(asked, listener), case)
        if server.reaches(RUNNING):
            client = Child(engine, "client", _client_config(clients, listener, load_ns)).outcome()
            assert (client.end, client.state) == ("done", DONE), client
        server.empties(None if case.when == "always" else listener)
        server.say(b"c")
        return server.outcome()


def run(engine: Engine, case: Case, load_ns: int) -> Outcome:
    """One case, with a load that takes so long."""
    return (run_client if case.role == "client" else run_server)(engine, case, load_ns)
