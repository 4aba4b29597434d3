"""`run` and `attach`: what a program does with TCP, watched from outside and judged."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from estab import __version__
from estab.api.child import Child, signals_held_back, take_signal
from estab.api.points import Points
from estab.api.subject import find
from estab.api.traced import TracedRun
from estab.diagnose import accepts, facts, judge
from estab.errors import MachineError, UsageError
from estab.kernel.formats.endpoint import endpoint
from estab.kernel.rules.connects import Connects
from estab.load.conductor import Stop
from estab.load.plan import MOST_DURATION_S, check_range
from estab.load.target import resolve
from estab.observe import host, netns, process_tree, processes, via
from estab.observe.connect_trace import ConnectTrace
from estab.observe.netns import Namespace
from estab.observe.program_watch import Look, ProgramWatch, Target
from estab.observe.watch import Observed
from estab.records import Failure, Funnel, Latency, Program, RunResult, TimelinePoint

LOOK_S = 0.1
_FIRST_LOOKS_S = (0.002, 0.005, 0.01, 0.02, 0.05)  # a command may be over soon
MOST_PROCESSES, MOST_TARGETS = 20, 20  # that a record lists
MOST_JUDGED = 3  # targets by what was traced, the worst first
T = TypeVar("T")


def run(
    command: Sequence[str],
    *,
    to: str | None = None,
    server_via: str | None = None,
    sampled: bool = False,
    pass_signals: bool = False,
) -> RunResult:
    """Runs a command as a shell does, watches what its processes do with TCP, and judges it when it has ended.

    It has this process's terminal and standard streams, and ends its own way; `program.exit` in the record is its exit
    code, 128 and the signal where one killed it. Its descendants are watched too, whoever their parent is by now.
    `to`: HOST:PORT, the target to watch from the start on; else those that it is seen to connect to, and its own
    listeners. `server_via`: as for loads, of the first target. `sampled`: do not trace its connects, though that is
    permitted. `pass_signals`: SIGTERM, SIGHUP and what else is sent to this process alone go to the command; in the
    main thread only, while no other thread runs.

    Raises CommandError where it can't be started, UsageError for what can't be asked.
    """
    if not command or not command[0]:
        raise UsageError("`command` is missing: estab run -- COMMAND")
    asked = _Asked("run", os.path.basename(command[0]), _target(to), server_via, sampled=sampled)
    _check_via(asked)
    process_tree.become_subreaper()
    with signals_held_back() if pass_signals else contextlib.nullcontext(), _Observer(asked) as observer:
        others = process_tree.children_of_this()
        observer.begin()
        child = Child(command)
        try:
            observer.trace.follow([child.pid])
            # Orphans of the command become children of this process, as a command of `server_via` is one.
            roots = [child.pid] if server_via is not None else [child.pid, os.getpid()]
            observer.pids = lambda: _descendants(roots, others)

            def ended(seconds: float) -> bool:
                over = child.wait(seconds)
                if server_via is None:
                    process_tree.reap(process_tree.children_of_this() - others - {child.pid})
                number = take_signal() if pass_signals else None
                if number is not None:
                    child.send(number)
                return over

            observer.follow(ended)
            ended(0)  # orphans that became this process's own only now
            return observer.result(child.exit, left=len(set(_descendants(roots, others)) - {child.pid}))
        finally:
            child.close()


def attach(
    subject: str,
    duration_s: float = 10.0,
    *,
    server_via: str | None = None,
    sampled: bool = False,
    stop: Stop | None = None,
) -> RunResult:
    """Watches for `duration_s` seconds what already runs, and judges it.

    `subject`: a PID, :PORT (who listens there), HOST:PORT (what this host's connects there meet, whoever makes them), a
    program's name, a systemd unit (nginx.service), or a container's id or a pod's uid, or how it begins. Ends early
    where all its processes have ended, or at `stop`. Raises UsageError where there is no such thing here.
    """
    check_range("duration_s", duration_s, 0.01, MOST_DURATION_S)
    record = _attach(subject, duration_s, stop, lambda: None, server_via=server_via, sampled=sampled)
    return record.replace(interrupted=stop is not None and stop.is_set)


class Watching:
    """What `watching` gives: `run` is the record, judged, once the block is over."""

    def __init__(self) -> None:
        self._run: RunResult | None = None

    @property
    def run(self) -> RunResult:
        """The record. Raises RuntimeError within the block, where there is none yet."""
        if self._run is None:
            raise RuntimeError("the record is there once the block is over")
        return self._run


@contextlib.contextmanager
def watching(*, port: int | None = None, pid: int | None = None) -> Iterator[Watching]:
    """Watches a server by its `port`, or a process and its descendants by `pid`, while the block lasts.

    It is looked at in a thread. Raises UsageError where there is no such thing here, or not one of the two is given.
    """
    if (port is None) == (pid is None):
        raise UsageError("give `port` or `pid`")
    seen, begun, raised = Watching(), threading.Event(), list[BaseException]()

    def watch() -> None:
        try:
            subject = f":{port}" if pid is None else str(pid)
            seen._run = _attach(subject, MOST_DURATION_S, stop, begun.set)
        except BaseException as error:
            raised.append(error)
        finally:
            begun.set()

    with Stop() as stop:
        thread = threading.Thread(target=watch, name="estab watching")
        thread.start()
        begun.wait()
        try:
            if not raised:
                yield seen
        finally:
            stop.set()
            thread.join()
    if raised:
        raise raised[0]


def _attach(
    subject: str,
    duration_s: float,
    stop: Stop | None,
    begun: Callable[[], None],
    *,
    server_via: str | None = None,
    sampled: bool = False,
) -> RunResult:
    found = find(subject)
    # Whoever connects to a target is not known as a process, so nothing of it can be traced.
    asked = _Asked("attach", subject, found.to, server_via, duration_s=duration_s, sampled=sampled or not found.pids)
    _check_via(asked)
    with _Observer(asked) as observer:
        observer.namespace = found.namespace and observer.held(found.namespace)
        observer.pids = lambda: process_tree.descendants(found.pids)
        observer.trace.follow(process_tree.tasks(observer.pids()))
        observer.begin()
        begun()
        until = time.monotonic() + duration_s

        def ended(seconds: float) -> bool:
            select.select([] if stop is None else [stop], [], [], max(0.0, min(seconds, until - time.monotonic())))
            gone = bool(found.pids) and not any(map(processes.is_running, found.pids))
            return gone or time.monotonic() >= until or (stop is not None and stop.is_set)

        observer.follow(ended)
        return observer.result(None, left=0)


@dataclass(frozen=True)
class _Asked:
    """What is watched: `name` for people, `to` a literal address and port."""

    command: str
    name: str
    to: Target | None
    server_via: str | None
    duration_s: float | None = None
    sampled: bool = False

    def config(self, target: Target | None) -> dict[str, int | float | str | bool | list[str] | None]:
        """As it stands in the record."""
        return {
            "target": None if target is None else endpoint(*target),
            "program": self.name,
            "duration_s": self.duration_s,
            "server_via": self.server_via,
        }


def _target(to: str | None) -> Target | None:
    if to is None:
        return None
    address, port, _scope = resolve(to, "to")
    return address, port


def _check_via(asked: _Asked) -> None:
    if asked.server_via is not None:
        via.words_of(asked.server_via, asked.to[1] if asked.to else 1)  # what can't be is said before anything starts


def _descendants(roots: Sequence[int], others: Iterable[int]) -> list[int]:
    known = process_tree.descendants(roots, without=list(others))
    return [pid for pid in known if pid != os.getpid()]


@dataclass
class _Observer(contextlib.AbstractContextManager["_Observer"]):
    """One program from its start to its record. It may turn out to live in another network namespace."""

    asked: _Asked
    pids: Callable[[], list[int]] = list
    namespace: Namespace | None = None
    unseen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._opened: list[int] = []
        self.trace = ConnectTrace(wanted=not self.asked.sampled)
        self._watch: ProgramWatch | None = None
        self._points: dict[Target | None, Points] = {}
        self._last: Look | None = None
        self._began_s, self._started_at_s = time.monotonic(), time.time()
        self._elapsed_s = 0.0

    def __exit__(self, *_: object) -> None:
        self.trace.close()
        for opened in self._opened:
            os.close(opened)
        if self._watch is not None:
            self._watch.close()

    def begin(self) -> None:
        """The state before the program does anything, in its namespace as far as that is known."""
        if self._watch is not None:
            self._watch.close()
        asked = self.asked
        watch = ProgramWatch(self._now, to=asked.to, server_via=asked.server_via)
        self._watch, self._points = watch, {}
        self._inside(watch.start)
        self._began_s, self._started_at_s = time.monotonic(), time.time()

    def _now(self) -> list[int]:
        return self.pids()

    def follow(self, ended: Callable[[float], bool]) -> None:
        """Look until it has ended. `ended` waits so many seconds at most, and says whether it has."""
        waits = self._waits()
        while not ended(next(waits)):
            if (moved := self._moved()) is not None:
                self.namespace = moved
                try:
                    self.begin()
                except MachineError as error:
                    self.unseen.append(f"what its network namespace counts, for it is another one: {error}")
                    self.namespace = None
                    self.begin()
            self._inside(self._look)
        self._elapsed_s = time.monotonic() - self._began_s

    def result(self, code: int | None, *, left: int) -> RunResult:
        """The record, judged: of the target that a cause is named for, else of the first."""
        traced = self.trace.end()
        told = TracedRun(traced, int(self._began_s * 1e9)) if traced is not None else None
        seen = self._inside(lambda: self._finish(told))
        records = [self._record(target, both, told, code, left) for target, both in seen]
        judged = [record.replace(diagnosis=judge(record)) for record in records]
        return next((record for record in judged if record.cause is not None), judged[0])

    def _waits(self) -> Iterator[float]:
        yield from _FIRST_LOOKS_S
        while True:
            yield LOOK_S

    def _inside(self, work: Callable[[], T]) -> T:
        return work() if self.namespace is None else netns.inside(self.namespace, work)

    def _moved(self) -> Namespace | None:
        """Another namespace that the youngest process is in, as long as none of its connections was seen here."""
        watch = self._watch
        assert watch is not None
        if self.unseen or watch.targets() or watch.listens_on:
            return None
        here = self.namespace.inode if self.namespace is not None else netns.own().inode
        for pid in reversed(self.pids()):
            path = f"/proc/{pid}/ns/net"
            try:
                inode = os.stat(path).st_ino
                return None if inode == here else self.held(Namespace(inode=inode, path=path, name=str(pid)))
            except OSError:
                continue
        return None

    def held(self, namespace: Namespace) -> Namespace:
        """The namespace, held open: it is entered again and again, and its process may be gone by then."""
        opened = os.open(namespace.path, os.O_RDONLY | os.O_CLOEXEC)
        self._opened.append(opened)
        return namespace.replace(path=f"/proc/self/fd/{opened}")

    def _look(self) -> None:
        assert self._watch is not None
        self._note(self._watch.sample())

    def _finish(self, told: TracedRun | None) -> list[tuple[Target | None, Observed]]:
        """Both ends of each target, the worst first where that is known."""
        assert self._watch is not None
        self._note(self._watch.last_look())
        worst = told.worst(MOST_JUDGED) if told is not None else []
        for target in worst:
            self._watch.watch(target)
        seen = self._watch.finish()
        return sorted(seen, key=lambda of: worst.index(of[0]) if of[0] in worst else len(worst))

    def _note(self, look: Look) -> None:
        self._last = look
        counted = look.counted
        point = TimelinePoint(
            t_s=round(time.monotonic() - self._began_s, 4),
            attempted=counted.attempted if counted else 0,
            connected=counted.connected if counted else 0,
            first_byte=0,
            completed=0,
            failed=counted.failed if counted else 0,
            open=look.open,
            requests=0,
        )
        for target, sample in look.ends.items():
            seen = point.replace(time_wait=sample.time_wait, client_states=sample.client_states).with_server(sample)
            self._points.setdefault(target, Points()).add(seen)

    def _record(
        self, target: Target | None, seen: Observed, told: TracedRun | None, code: int | None, left: int
    ) -> RunResult:
        watch = self._watch
        assert watch is not None
        counted = self._last.counted if self._last is not None else None
        fullest = (watch.processes.processes() or [])[:MOST_PROCESSES]
        record = RunResult(
            command=self.asked.command,
            config=self.asked.config(target),
            host=host.facts(),
            started_at_s=self._started_at_s,
            elapsed_s=round(self._elapsed_s, 4),
            engine="none",
            funnel=_funnel(counted) if told is None else told.funnel(target),
            failures=_failures(counted, seen) if told is None else told.failures(target),
            latency=Latency() if told is None else told.latency(),
            syn_retransmits={} if told is None else told.syn_retransmits(target),
            timeline=self._points[target].timeline() if target in self._points else [],
            client=seen.client.replace(processes=fullest or None),
            server=seen.server,
            program=Program(
                name=self.asked.name,
                exit=code,
                seen="sampled" if told is None else "traced",
                processes=len(watch.processes.pids),
                left_running=left,
                looks=watch.looks,
                targets=(watch.targets() if told is None else told.targets(watch.targets()))[:MOST_TARGETS],
                listens_on=list(watch.listens_on),
                lost_events=None if told is None else told.lost,
                why_sampled=self.trace.why,
                unseen=self.unseen,
            ),
            estab_version=__version__,
        )
        return record.replace(funnel=record.funnel.replace(accepted=_accepted(record)))


def _accepted(run: RunResult) -> int | None:
    """How many of its connections were accepted, where that is known and no bound alone; None: it is not."""
    over, least = accepts.over(run), facts.accepted(run)
    if over is not None and over.least == over.most:
        return over.least
    return run.funnel.connected if least is not None and 0 < run.funnel.connected <= least else None


def _funnel(counted: Connects | None) -> Funnel:
    if counted is None:
        return Funnel()
    return Funnel(attempted=counted.attempted, connected=counted.connected, completed=counted.connected)


def _failures(counted: Connects | None, seen: Observed) -> list[Failure]:
    """Connects that failed, as TCP's counters tell: by RST or ICMP, by the kernel's time-out, closed unconnected."""
    if counted is None:
        return []
    # A SYN that is held back for its neighbour's address fails by an ICMP error of this host itself.
    held_back = bool(seen.client.rose("TcpExt.TCPSpuriousRtxHostQueues"))
    counts: Mapping[str, int] = {
        "EHOSTUNREACH" if held_back else "ECONNREFUSED": counted.refused,
        "ETIMEDOUT": counted.timed_out,
        "gave_up": counted.given_up,
    }
    return [Failure(phase="connect", errno=errno, count=count) for errno, count in counts.items() if count]
