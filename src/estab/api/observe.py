"""`observe`: snapshots of this host, of its network namespaces, or of another host by a command that prints them."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from dataclasses import dataclass

from estab.errors import MachineError, UsageError
from estab.load.conductor import Stop
from estab.load.plan import MOST_DURATION_S
from estab.load.target import resolve
from estab.observe import drop_reasons, netns, snapshot, via
from estab.observe.gaps import Gaps
from estab.observe.netns import Namespace
from estab.records import Listener, Snapshot


@dataclass(frozen=True)
class Asked:
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
    namespace: str | None = None,
    all_namespaces: bool = False,
    drops_s: float | None = None,
    stop: Stop | None = None,
) -> Iterator[Snapshot]:
    """Snapshots, `count` rounds (0: until `stop`) every `interval_s` seconds; one round is one, or one a namespace.

    `port`: only its listeners, with the connections of its server's side. `toward`: HOST:PORT, for the local ports in
    use towards it. `namespace`: a name below /run/netns or a PID; `all_namespaces`: the own, the named and those of
    processes. `drops_s`: trace drop reasons so long for each round. Raises UsageError for what can't be asked and
    MachineError where a namespace may not be entered; what can't be read is None in a snapshot, which says why.
    """
    _check(interval_s, count, port, drops_s)
    if namespace is not None and all_namespaces:
        raise UsageError("--netns and --all-netns exclude each other; leave one out")
    asked = Asked(port, resolve(toward)[:2] if toward is not None else None, drops_s)
    observer = _Observer(asked, netns.find(namespace) if namespace is not None else None, all_namespaces)
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


def _first(found: Iterator[Snapshot], count: int) -> Iterator[Snapshot]:
    seen = 0
    for one in found:
        yield one
        seen += 1
        if seen == count:
            return
    if seen == 0:
        raise MachineError(
            "the command ended well and printed no snapshot; it should print what `estab observe` prints"
        )


def _check(interval_s: float, count: int, port: int | None, drops_s: float | None) -> None:
    if not 0 <= interval_s <= MOST_DURATION_S:
        raise UsageError(f"--interval {interval_s:g} s can't be; it is 0 to {MOST_DURATION_S:,.0f} seconds")
    if count < 0:
        raise UsageError(f"--count {count} can't be; it is 0 or more")
    if port is not None and not 1 <= port <= 65535:
        raise UsageError(f"--port {port} can't be; a port is 1 to 65535")
    if drops_s is not None and not 0 < drops_s <= 3600:
        raise UsageError(f"--drops {drops_s:g} can't be; it is more than 0 and at most 3,600 seconds")


class _Observer:
    """Takes snapshots and remembers the worst depth of each listener, by namespace and inode."""

    def __init__(self, asked: Asked, namespace: Namespace | None, all_namespaces: bool) -> None:
        self._asked, self._namespace, self._all = asked, namespace, all_namespaces
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
        if self._asked.drops_s is not None:
            dropped = drop_reasons.read(self._asked.drops_s, gaps, stop.fileno() if stop else None)
        taken = self._take_all(gaps) if self._all else [self._take(self._namespace or netns.own())]
        return [
            one.replace(drop_reasons=dropped, unobserved=one.unobserved + (gaps.found if one is taken[0] else []))
            for one in taken
        ]

    def _take_all(self, gaps: Gaps) -> list[Snapshot]:
        found = netns.find_all()
        if found.hidden:
            gaps.note("netns", f"{found.hidden} processes do not show their network namespace: run as root")
        taken = []
        for namespace in found.namespaces:
            try:
                taken.append(self._take(namespace))
            except MachineError as error:
                gaps.note("netns", str(error))
        return taken

    def _take(self, namespace: Namespace) -> Snapshot:
        asked = self._asked
        taken = netns.inside(
            namespace,
            lambda: snapshot.take(port=asked.port, toward=asked.toward, connections=asked.port is not None),
        )
        listeners = None if taken.listeners is None else [self._seen(taken, one) for one in taken.listeners]
        return taken.replace(netns=namespace.name, listeners=listeners)

    def _seen(self, taken: Snapshot, listener: Listener) -> Listener:
        key = (taken.host.netns_inode, listener.inode)
        self._worst[key] = max(self._worst.get(key, 0), listener.depth)
        return listener.replace(worst_depth=self._worst[key])


def _wait(until_s: float, stop: Stop | None) -> None:
    select.select([] if stop is None else [stop], [], [], max(0.0, until_s - time.monotonic()))
