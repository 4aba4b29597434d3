"""Snapshots for a live view: what is cheap at every look, what is not only in a small share of the time.

A complete snapshot walks every socket of the host: 50 ms of CPU for 10,000. Here the listeners, the counters, the
tables and the owners' descriptors are read at each look; the census and the targets are put off until they take at
most one hundredth of a core (`background.SHARE`).
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from estab.errors import EstabError, MachineError, UsageError
from estab.live.background import SHARE, WAIT_S, BackgroundWork, seldom
from estab.live.view import PUT_OFF
from estab.load.conductor import Stop
from estab.observe import cgroups, counters, host, nics, silent_peers, sysctls, system, targets
from estab.observe import netns as namespaces
from estab.observe.gaps import Gaps
from estab.observe.owners import KnownOwners
from estab.observe.pace import Pace
from estab.observe.queues import QueueLook, QueueReader
from estab.observe.sock_diag import SockDiag
from estab.records import Census, CgroupLimits, HostFacts, Listener, PeerLook, PortUse, Security, Snapshot, Unobserved

# Who asked for so many looks waits for all that they show; nobody watches them one by one.
_WHOLE_S = 10.0
_AROUND_S = 10.0
BETWEEN_S = 0.1
_Sysctls = Mapping[str, list[int] | str]


@dataclass(frozen=True)
class _Counted:
    """All sockets, counted in two ways."""

    census: Census | None = None
    targets: list[PortUse] | None = None
    silent_peers: list[PeerLook] | None = None
    unobserved: Sequence[Unobserved] = ()


@dataclass(frozen=True)
class _Surroundings:
    """What changes seldom, and takes longer to read than the listeners: read anew now and then."""

    sysctls: _Sysctls
    host: HostFacts
    cgroup: CgroupLimits | None
    security: Security | None
    unobserved: Sequence[Unobserved]


def _surroundings() -> _Surroundings:
    gaps = Gaps()
    values, facts = sysctls.read(gaps, sysctls.SET), host.facts(gaps)
    return _Surroundings(values, facts, cgroups.own_limits(gaps), system.read_security(gaps), gaps.found)


class NamespaceReader:
    """Looks into one namespace again and again. Made, used and closed in a thread that is inside it."""

    def __init__(self, share: float = SHARE, *, close_looks: bool = False) -> None:
        """`share`: what of a core it may take to count what is costly. `close_looks`: whether `queues` may be asked."""
        self._diag: SockDiag | None = None
        self._close_looks = close_looks
        self._queues: QueueReader | None = None
        self._owners = KnownOwners()
        self._count: BackgroundWork[_Counted] = BackgroundWork(seldom(share))
        self._worst: dict[int | None, int] = {}
        self._around: _Surroundings | None = None
        self._around_pace = Pace(share, _AROUND_S)

    def close(self) -> None:
        """Give the netlink socket back. May be called twice."""
        if self._diag is not None:
            self._diag.close()
            self._diag = None
        if self._queues is not None:
            self._queues.close()
            self._queues = None

    def queues(self) -> QueueLook:
        """A close look, from any thread. Raises EstabError, OSError, also where none can be made."""
        if self._queues is None:
            raise MachineError("the namespace has not been looked into yet")
        return self._queues.look()

    def look(self, *, whole: bool, wait_s: float = WAIT_S, netns: str | None = None) -> Snapshot:
        """A snapshot; `whole`: with what is costly too, due or not. What is put off is None and said to be so.

        `wait_s`: how long it may take to count what is costly.
        """
        gaps = Gaps()
        around = self._around
        if around is None or self._around_pace.due:
            around = self._around = self._around_pace.spend(_surroundings)
        gaps.found += around.unobserved
        values = {**around.sysctls, **sysctls.read(gaps, sysctls.CHANGING)}
        soft, hard = host.own_open_files()
        self._diag = self._diag or gaps.read("listeners", SockDiag)
        if self._close_looks:
            self._queues = self._queues or gaps.read("queues", QueueReader)
        listeners, unix, risen = self._listeners(gaps)
        counted = self._counted(gaps, values, listeners, whole=whole, wait_s=wait_s)
        return Snapshot(
            taken_at_s=time.time(),
            host=around.host,
            nofile_soft=soft,
            nofile_hard=hard,
            sysctls=values,
            listeners=listeners,
            unix_listeners=unix,
            states=counted.census.states if counted.census else None,
            census=counted.census,
            targets=counted.targets,
            silent_peers=counted.silent_peers,
            port_use=counted.targets[0] if counted.targets else None,
            counters=risen,
            sockstat=gaps.read("sockstat", counters.read_sockstat),
            conntrack=system.read_conntrack(gaps),
            softnet=gaps.read("softnet", system.read_softnet),
            neighbours=gaps.read("neighbours", system.read_neighbours),
            cgroup=around.cgroup,
            security=around.security,
            nics=nics.read(gaps),
            memory_available_bytes=gaps.read("memory_available_bytes", system.read_memory_available),
            netns=netns,
            unobserved=gaps.found,
        )

    def _listeners(self, gaps: Gaps) -> tuple[list[Listener] | None, list[Listener] | None, dict[str, int] | None]:
        """TCP's listeners, UNIX ones, and the counters, of one moment: what was accepted between two looks is reckoned
        from the first and the last. None of what can't be seen.
        """
        self._owners.look()
        diag = self._diag
        listeners = gaps.read("listeners", diag.listeners) if diag is not None else None
        risen = gaps.read("counters", counters.read_counters)
        unix = gaps.read("unix_listeners", diag.unix_listeners) if diag is not None else None
        seen = [*(listeners or ()), *(unix or ())]
        self._worst = {listener.inode: max(self._worst.get(listener.inode, 0), listener.depth) for listener in seen}
        filled = [each.replace(worst_depth=self._worst[each.inode]) for each in self._owners.fill(seen, gaps)]
        of_tcp = len(listeners or ())
        return (None if listeners is None else filled[:of_tcp]), (None if unix is None else filled[of_tcp:]), risen

    def _counted(
        self, gaps: Gaps, values: _Sysctls, listeners: Sequence[Listener] | None, *, whole: bool, wait_s: float
    ) -> _Counted:
        counted = self._count.result(lambda: _count(values, listeners), now=whole, wait_s=wait_s)
        if counted is None:
            for field in ("census", "states", "targets", "port_use", "silent_peers"):
                gaps.note(field, PUT_OFF)
            return _Counted()
        gaps.found += counted.unobserved
        return counted


def _count(values: _Sysctls, listeners: Sequence[Listener] | None) -> _Counted:
    gaps = Gaps()
    diag = gaps.read("census", SockDiag)
    if diag is None:
        return _Counted(unobserved=gaps.found)
    with diag:
        taken = gaps.read("census", diag.count)
        served = {listener.port for listener in listeners or ()}
        silent = gaps.read("silent_peers", lambda: silent_peers.looks(diag, taken.resending if taken else b"", served))
        busiest = gaps.read(
            "targets", lambda: targets.busiest(diag, values, gaps, most=targets.MOST, listeners=listeners)
        )
    return _Counted(
        census=taken.census if taken is not None else None,
        targets=busiest.busiest if busiest is not None else None,
        silent_peers=silent,
        unobserved=gaps.found,
    )


class Sampler:
    """Rounds of snapshots of this host: of this thread's namespace, of one that is named, or of all."""

    def __init__(
        self, *, netns: str | None = None, all_netns: bool = False, share: float = SHARE, close_looks: bool = False
    ) -> None:
        """`share` of a core is for what is costly; `close_looks`: whether `queues` may be asked.

        Raises UsageError for a namespace that there is not, MachineError for one that may not be seen.
        """
        if netns is not None and all_netns:
            raise UsageError("`netns` and `all_netns` exclude each other; leave one out")
        self._all = all_netns
        self._namespaces = [namespaces.find(netns) if netns is not None else namespaces.own()]
        self._readers: dict[int, NamespaceReader] = {}
        self._share, self._scan = share, seldom(share)
        self._close_looks = close_looks
        self._hidden = ""

    def rounds(
        self, interval_s: float, stop: Stop, count: int = 0, *, between: Callable[[], None] | None = None
    ) -> Iterator[list[Snapshot]]:
        """A round every `interval_s` seconds until `stop`, `count` of them (0: no end); the first and last are whole.

        The last one is taken at `stop`, so that a recording ends with what the judge asks for. While it waits it calls
        `between` ten times a second.
        """
        due = time.monotonic()
        number = 0
        try:
            while True:
                number += 1
                last = stop.is_set or number == count
                if taken := self._round(whole=last or number == 1, wait_s=_WHOLE_S if count else WAIT_S):
                    yield taken
                if last:
                    return
                # Where a round takes longer than the interval, the next begins at once and none is made up for.
                due = max(due + interval_s, time.monotonic())
                _wait(due, stop, between)
        finally:
            self.close()

    def queues(self) -> Iterator[tuple[int, QueueLook]]:
        """A close look at each namespace that was looked at before, by its inode; what can't be seen is left out."""
        for inode, reader in self._readers.items():
            with contextlib.suppress(EstabError, OSError):
                yield inode, reader.queues()

    def close(self) -> None:
        """Give back what is held open."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    def _round(self, *, whole: bool, wait_s: float) -> list[Snapshot]:
        if self._all and (whole or self._scan.due):
            self._look_for_namespaces()
        taken = []
        for namespace in self._namespaces:
            try:
                taken.append(self._look(namespace, whole=whole, wait_s=wait_s))
            except (MachineError, OSError) as error:
                if not self._all:
                    gone = f"can't look into network namespace {namespace.name}: {error}"
                    raise MachineError(gone) from error
                self._readers.pop(namespace.inode).close()
        return [self._noted(snapshot) for snapshot in taken]

    def _look(self, namespace: namespaces.Namespace, *, whole: bool, wait_s: float) -> Snapshot:
        reader = self._readers.setdefault(namespace.inode, NamespaceReader(self._share, close_looks=self._close_looks))
        return namespaces.inside(namespace, lambda: reader.look(whole=whole, wait_s=wait_s, netns=namespace.name))

    def _look_for_namespaces(self) -> None:
        scanned = self._scan.spend(namespaces.find_all)
        self._namespaces, self._hidden = scanned.namespaces, scanned.why_hidden
        known = {namespace.inode for namespace in self._namespaces}
        for inode in self._readers.keys() - known:
            self._readers.pop(inode).close()

    def _noted(self, taken: Snapshot) -> Snapshot:
        if not self._hidden:
            return taken
        gaps = Gaps()
        gaps.note("netns", self._hidden)
        return taken.replace(unobserved=[*taken.unobserved, *gaps.found])


def _wait(due_s: float, stop: Stop, between: Callable[[], None] | None) -> None:
    """Until `due_s` of the monotonic clock, or `stop`."""
    while True:
        left_s = max(0.0, due_s - time.monotonic())
        if between is None or left_s <= BETWEEN_S:
            select.select([stop], [], [], left_s)
            return
        began = time.monotonic()
        between()
        if select.select([stop], [], [], max(0.0, BETWEEN_S - (time.monotonic() - began)))[0]:
            return


def check_interval(interval_s: float) -> None:
    """Raises UsageError for an interval that can't be."""
    if not 0.1 <= interval_s <= 3600:
        raise UsageError(f"`interval_s` is {interval_s:g}, out of range (0.1 to 3,600 seconds)")
