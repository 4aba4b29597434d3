"""`run` and `attach`: what a program does with TCP, watched from outside and judged."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from estab.api.child import StartedCommand, signals_held_back, take_signal
from estab.api.family import Family
from estab.api.program_observer import Observer
from estab.api.program_record import Asked
from estab.api.subject import find
from estab.errors import UsageError
from estab.load.conductor import Stop
from estab.load.plan import MOST_DURATION_S, check_range
from estab.load.target import resolve
from estab.observe import process_tree, processes, via
from estab.observe.program_watch import Target
from estab.records import RunResult


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
    asked = Asked("run", os.path.basename(command[0]), _target(to), server_via, sampled=sampled)
    _check_via(asked)
    with signals_held_back() if pass_signals else contextlib.nullcontext(), Observer(asked) as observer:
        family = Family()
        observer.begin()
        child = StartedCommand(command)
        family.command = child.pid
        try:
            observer.trace.follow([child.pid])
            observer.pids = family.pids

            def ended(seconds: float) -> bool:
                over = child.wait(seconds)
                family.reap()
                number = take_signal() if pass_signals else None
                if number is not None:
                    child.send(number)
                return over

            observer.follow(ended)
            ended(0)  # orphans that became this process's own only now
            return observer.result(child.exit, left=len(set(family.pids()) - {child.pid}))
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

    `subject`: a PID, :PORT or unix:/path (who listens there), HOST:PORT (what this host's connects there meet, whoever
    makes them), a program's name, a systemd unit (nginx.service), or a container's id or a pod's uid, or how it begins.
    Ends early where all its processes have ended, or at `stop`. Raises UsageError where there is no such thing here.
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
    asked = Asked("attach", subject, found.to, server_via, duration_s=duration_s, sampled=sampled or not found.pids)
    _check_via(asked)
    with Observer(asked) as observer:
        observer.namespace.be(found.namespace)
        if found.elsewhere:
            observer.unseen.append(f"the network namespaces of {found.elsewhere:,} more of its processes")
        observer.pids = lambda: process_tree.descendants(found.pids)
        observer.trace.follow(observer.pids())
        observer.begin()
        begun()
        until = time.monotonic() + duration_s

        def ended(seconds: float) -> bool:
            select.select([] if stop is None else [stop], [], [], max(0.0, min(seconds, until - time.monotonic())))
            gone = bool(found.pids) and not any(map(processes.is_running, found.pids))
            return gone or time.monotonic() >= until or (stop is not None and stop.is_set)

        observer.follow(ended)
        return observer.result(None, left=0)


def _target(to: str | None) -> Target | None:
    if to is None:
        return None
    address, port, _scope = resolve(to, "to")
    return address, port


def _check_via(asked: Asked) -> None:
    if asked.server_via is not None:
        via.words_of(asked.server_via, asked.to[1] if asked.to else 1)  # what can't be is said before anything starts
