"""The load of a stage: what loads, in a child in the client's namespace, and its handle outside."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection

from estab.api.bench import bench
from estab.api.churn import churn
from estab.api.hold import hold
from estab.api.recorder import Progress
from estab.api.request import LoadOptions
from estab.errors import EstabError, MachineError
from estab.lab.process import linux
from estab.lab.process.child import Child, say
from estab.lab.process.isolation import descendants
from estab.lab.process.stopping import resume, stop
from estab.lab.stage.hosts import DEAD, NAME, SERVER
from estab.lab.stage.setup import LoadSpec
from estab.observe.sock_diag import SockDiag
from estab.records import RunResult

SETTLED = "settled"
_LOOKED_WITHIN_S = 10.0
Tell = Callable[[Progress], None]
Work = Callable[[Tell], RunResult]
Loaded = tuple[RunResult, float, frozenset[bytes] | None]  # the run, when its timeline began, what was established


def work_of(load: LoadSpec, target: str, sources: Sequence[str]) -> Work:
    """The load as a function of where progress is told."""
    options = LoadOptions(timeout_s=load.timeout_s, sources=tuple(sources), processes=load.processes)
    if load.command == "hold" and load.gaps_s:
        return lambda progress: hold(
            target, connections=load.connections, gaps_s=load.gaps_s, size_bytes=load.size_bytes, reset=load.reset,
            options=options, progress=progress,
        )  # fmt: skip
    if load.command == "hold":
        return lambda progress: hold(
            target, connections=load.connections, duration_s=load.duration_s, ramp_per_s=load.ramp_per_s,
            in_flight=load.in_flight, reset=load.reset, options=options, progress=progress,
        )  # fmt: skip
    if load.command == "bench":
        return lambda progress: bench(
            target, connections=load.connections, duration_s=load.duration_s, size_bytes=load.size_bytes,
            mode=load.mode, depth=load.depth, options=options, progress=progress,
        )  # fmt: skip
    return lambda progress: churn(
        target, connections=load.connections, duration_s=load.duration_s, attempts=load.attempts,
        rate_per_s=load.rate_per_s, size_bytes=load.size_bytes, close="rst" if load.reset else "fin",
        first_close=load.first_close, options=options, progress=progress,
    )  # fmt: skip


def by_name(work: Work) -> Work:
    """The same, by a load that knows the server's name. It is for a child of its own."""

    def named(tell: Tell) -> RunResult:
        try:
            linux.add_hosts([(DEAD, NAME), (SERVER, NAME)])
        except OSError as error:
            raise MachineError(f"the lab can't give a name to its hosts here: {error.strerror}") from error
        return work(tell)

    return named


class RunningLoad:
    """A load's child, from outside."""

    def __init__(self, child: Child[Loaded]) -> None:
        self.child = child
        self.looked = False
        self._settled: bool | None = None

    def freeze(self) -> None:
        """Stops its processes: what they have open stays as it is."""
        if self.child.pid is not None:
            stop([self.child.pid, *descendants(self.child.pid)])

    @contextlib.contextmanager
    def starved(self) -> Iterator[None]:
        """Within the block its workers get no CPU at all, as under a quota that is used up (SIGSTOP, SIGCONT)."""
        workers = descendants(self.child.pid)
        try:
            stop(workers)
            yield
        finally:
            resume(workers)

    def begun(self) -> None:
        """Returns once the first connect was attempted."""
        self.child.wait_for(lambda message: bool(message in ("begun", SETTLED)))

    def settled(self) -> bool:
        """Waits until every connect is settled; False where the run ended before that was seen."""
        if self._settled is None:
            self._settled = self.child.wait_for(lambda message: bool(message == SETTLED), 180) is not None
        return self._settled

    def go_on(self) -> None:
        """Lets a load that holds its connections for us to look at them do what it does next."""
        with contextlib.suppress(OSError):  # it has ended meanwhile
            self.child.send("looked")


def _established(target: tuple[str, int]) -> frozenset[bytes] | None:
    with contextlib.suppress(EstabError), SockDiag() as diag:
        return diag.established_toward(*target)
    return None


def carry_out(work: Work, connection: Connection, target: tuple[str, int], nofile: int | None) -> Loaded:
    """What a load's child runs."""
    if nofile is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, hard))
    began_s: list[float] = []
    established: list[frozenset[bytes] | None] = []  # None: it can't be asked, as of a UNIX socket

    def progress(now: Progress) -> None:
        if not began_s:
            began_s.append(time.monotonic() - now.point.t_s)
            say(connection, "begun")
        if now.stage == "running" and not established:
            established.append(_established(target))
            say(connection, SETTLED)
            # Connections that are only held stay open meanwhile: the word to close them is what waits here.
            if not now.point.requests and connection.poll(_LOOKED_WITHIN_S):
                connection.recv()

    run = work(progress)
    # A churn's connections are gone before the other end could be asked for them.
    held = established[0] if established and run.command == "hold" else None
    return run, began_s[0] if began_s else time.monotonic(), held
