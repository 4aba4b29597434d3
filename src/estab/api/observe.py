"""`observe`: snapshots of this host, of its network namespaces, or of another host by a command that prints them."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from dataclasses import dataclass

from estab.errors import MachineError, UsageError
from estab.load.conductor import Stop
from estab.load.plan import MOST_DURATION_S, check_range
from estab.load.target import resolve
from estab.observe import drop_reasons, snapshot, targets, via
from estab.observe import netns as namespaces
from estab.observe.gaps import Gaps
from estab.observe.netns import Namespace
from estab.records import Listener, Snapshot


@dataclass(frozen=True)
class _Wanted:
    """What each snapshot is to hold. `toward` is a literal address and port."""

    port: int | None = None
    toward: tuple[str, int] | None = None
    drops_s: float | None = None


def observe(
    *,
    interval_s: float = 1.0,
    count: int = 1,
    port: int | None = None,
    toward: str | None = None,
    netns: str | None = None,
    all_netns: bool = False,
    drops_s: float | None = None,
    stop: Stop | None = None,
) -> Iterator[Snapshot]:
    """Snapshots, `count` rounds (0: until `stop`) every `interval_s` seconds; one round is one, or one a namespace.

    `port`: only its listeners, with the connections of its server's side. `toward`: HOST:PORT, for the local ports in
    use towards it. `netns`: a name below /run/netns or a PID; `all_netns`: the own, the named and those of
    processes. `drops_s`: trace drop reasons so long for each round. Raises UsageError for what can't be asked and
    MachineError where a namespace may not be entered; what can't be read is None in a snapshot, which says why.
    """
    _check(interval_s, count, port, drops_s)
    if netns is not None and all_netns:
        raise UsageError("`netns` and `all_netns` exclude each other; leave one out")
    wanted = _Wanted(port, resolve(toward, "toward")[:2] if toward is not None else None, drops_s)
    observer = _Observer(wanted, namespaces.find(netns) if netns is not None else None, all_netns)
    return observer.rounds(interval_s, count, stop)


def observe_via(
    command: str, *, port: int | None = None, count: int = 0, stop: Stop | None = None
) -> Iterator[Snapshot]:
    """The snapshots that a command prints, checked, until it ends or `count` were seen (0: all).

    `{port}` in the command is replaced by `port`; no shell runs it. Raises UsageError, MachineError where the command
    fails, ReadError where it prints anything else.
    """
    via.words_of(command, port)
    _check(0.0, count, port, None)
    return _first(via.stream(command, port, stop=stop.fileno() if stop else None), count)


def _first(snapshots: Iterator[Snapshot], count: int) -> Iterator[Snapshot]:
    seen = 0
    for taken in snapshots:
        yield taken
        seen += 1
        if seen == count:
            return
    if seen == 0:
        raise MachineError("the command succeeded but printed no snapshot; it should print what `estab observe` prints")


def _check(interval_s: float, count: int, port: int | None, drops_s: float | None) -> None:
    check_range("interval_s", interval_s, 0, MOST_DURATION_S)
    if count < 0:
        raise UsageError(f"`count` is {count}; it is 0 (no end) or more")
    if port is not None:
        check_range("port", port, 1, 65535)
    if drops_s is not None:
        check_range("drops_s", drops_s, 0.001, 3600)


class _Observer:
    """Takes snapshots and remembers the worst depth of each listener, by namespace and inode."""

    def __init__(self, wanted: _Wanted, namespace: Namespace | None, all_netns: bool) -> None:
        self._wanted, self._namespace, self._all = wanted, namespace, all_netns
        self._worst: dict[tuple[int | None, int | None], int] = {}

    def rounds(self, interval_s: float, count: int, stop: Stop | None) -> Iterator[Snapshot]:
        due = time.monotonic()
        number = 0
        while not (stop and stop.is_set):
            yield from self._round(stop)
            number += 1
            if number == count:
                return
            # Where a round takes longer than the interval, the next begins at once and none is made up for.
            due = max(due + interval_s, time.monotonic())
            _wait(due, stop)

    def _round(self, stop: Stop | None) -> list[Snapshot]:
        gaps = Gaps()
        dropped = None
        if self._wanted.drops_s is not None:
            dropped = drop_reasons.read(self._wanted.drops_s, gaps, stop.fileno() if stop else None)
        snapshots = self._take_all(gaps) if self._all else [self._take(self._namespace or namespaces.own())]
        return [
            taken.replace(
                drop_reasons=dropped, unobserved=taken.unobserved + (gaps.found if taken is snapshots[0] else [])
            )
            for taken in snapshots
        ]

    def _take_all(self, gaps: Gaps) -> list[Snapshot]:
        every = namespaces.find_all()
        if every.hidden:
            gaps.note("netns", every.why_hidden)
        taken = []
        for namespace in every.namespaces:
            try:
                taken.append(self._take(namespace))
            except MachineError as error:
                gaps.note("netns", str(error))
        return taken

    def _take(self, namespace: Namespace) -> Snapshot:
        wanted = self._wanted
        taken = namespaces.inside(
            namespace,
            lambda: snapshot.take(
                port=wanted.port,
                toward=wanted.toward,
                connections=wanted.port is not None,
                most_targets=targets.MOST if wanted.port is None and wanted.toward is None else 0,
            ),
        )
        listeners, unix = self._seen(taken, taken.listeners), self._seen(taken, taken.unix_listeners)
        return taken.replace(netns=namespace.name, listeners=listeners, unix_listeners=unix)

    def _seen(self, taken: Snapshot, listeners: list[Listener] | None) -> list[Listener] | None:
        return None if listeners is None else [self._with_worst(taken, listener) for listener in listeners]

    def _with_worst(self, taken: Snapshot, listener: Listener) -> Listener:
        key = (taken.host.netns_inode, listener.inode)
        self._worst[key] = max(self._worst.get(key, 0), listener.depth)
        return listener.replace(worst_depth=self._worst[key])


def _wait(until_s: float, stop: Stop | None) -> None:
    select.select([] if stop is None else [stop], [], [], max(0.0, until_s - time.monotonic()))
