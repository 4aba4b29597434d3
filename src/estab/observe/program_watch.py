"""What a program does with sockets, seen from outside: its processes, their connections, and both ends of its targets.

What lives here: whose sockets are looked at, and when. A target's two ends are `Watch`'s to see; here it is found out
which targets there are. Nothing is done for a single connection: C counts them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from estab.errors import EstabError
from estab.kernel.formats.endpoint import endpoint
from estab.kernel.rules import connects
from estab.kernel.rules.connects import Connects
from estab.kernel.rules.listening import reached
from estab.observe import snapshot
from estab.observe.cgroup_watch import CgroupWatch
from estab.observe.counters import CounterFiles
from estab.observe.cpu_watch import CpuWatch
from estab.observe.gaps import Gaps
from estab.observe.owned_sockets import OwnedSockets
from estab.observe.pace import Pace
from estab.observe.process_watch import ProcessWatch
from estab.observe.silent_peers import PeerWatch
from estab.observe.sock_diag import SockDiag
from estab.observe.unix_queues import UnixQueues
from estab.observe.watch import UNIX_EVERY_S, UNIX_SHARE, EndsSample, Observed, Watch
from estab.records import ClientSide, Listener, ProgramTarget, ServerSide, Snapshot, deltas

MOST_WATCHED = 4
# So much of a core may the looks at descriptors and at all sockets take, and finding the processes.
_LOOKS_SHARE, _LOOK_EVERY_S = 0.02, 0.1
_TREE_SHARE = 0.01
_NO_TARGET = "no connection of the program was seen: each was over between two looks"


Target = tuple[str, int]


@dataclass(frozen=True)
class Look:
    """One look: the namespace's connects since the start, the program's open connections, each target's two ends.

    `ends` is by literal address and port, by None where no target is known.
    """

    counted: Connects | None
    open: int
    ends: Mapping[Target | None, EndsSample]


class ProgramWatch:
    """Watches the processes that `pids` gives: `start`, `sample` ten times a second, `finish`, `close`.

    Use it from one thread, in the network namespace of the program. `to`: watch this literal address and port from the
    start on, and nothing else. Nothing that can't be read raises.
    """

    def __init__(
        self,
        pids: Callable[[], Iterable[int]],
        *,
        to: Target | None = None,
        server_via: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pids, self._to, self._server_via = pids, to, server_via
        self.processes = ProcessWatch(())
        self.cgroups = CgroupWatch()
        self.cpu = CpuWatch()
        self.owned = OwnedSockets()
        self.gaps = Gaps()
        self.unix = UnixQueues()
        self.peers = PeerWatch(clock)
        self.looks = 0
        self.listens_on: dict[int, str] = {}  # addresses and ports by inode, UNIX sockets' too
        self._tree: list[int] = []
        self._watches: dict[Target, Watch] = {}
        self._before: Snapshot | None = None
        self._diag: SockDiag | None = None
        self._counters: CounterFiles | None = None
        self._tree_pace = Pace(_TREE_SHARE, 0.0, clock=clock, cost=time.thread_time)
        self._process_pace = Pace(_TREE_SHARE, 0.0, clock=clock, cost=time.thread_time)
        self._look_pace = Pace(_LOOKS_SHARE, _LOOK_EVERY_S, clock=clock, cost=time.thread_time)
        self._unix_pace = Pace(UNIX_SHARE, UNIX_EVERY_S, clock=clock, cost=time.thread_time)

    def start(self) -> None:
        """Snapshot the namespace as it is before the program does anything."""
        self._diag = self.gaps.read("sock_diag", SockDiag)
        self._counters = self.gaps.read("counters", CounterFiles)
        self._before = snapshot.take(diag=self._diag)
        self.unix.start(self._before.unix_listeners)
        if self._to is not None:
            self._watch(self._to)

    def sample(self) -> Look:
        """One look at the processes, their sockets where that is due, and the targets."""
        if self._tree_pace.due:
            self._tree = self._tree_pace.spend(lambda: list(self._pids()))
            self.processes.add(self._tree)
        self.processes.count()
        if self._process_pace.due:
            self._process_pace.spend(self._look_at_processes)
        if self._look_pace.due and self._diag is not None:
            self._look_pace.spend(self._look_at_sockets)
        if self._unix_pace.due:
            self._unix_pace.spend(self._look_at_unix)
        return self._look()

    def last_look(self) -> Look:
        """When the program has ended: its connections are gone, and what it left in TIME-WAIT and queues is not."""
        self._tree = []
        if self._diag is not None:
            self._look_at_sockets(last=True)
        self._look_at_unix()
        return self._look()

    def watch(self, target: Target) -> None:
        """See both ends of this target too, though it becomes known only now."""
        if target not in self._watches:
            self._watch(target)

    def finish(self) -> list[tuple[Target | None, Observed]]:
        """Both ends as a whole, once for each target that was watched, the first one first; once where none was."""
        seen: dict[Target | None, Observed] = {target: watch.finish() for target, watch in self._watches.items()}
        return list(seen.items()) or [(None, self._without_target())]

    def connects(self) -> Connects | None:
        """What became of the namespace's connects since the start; None where the counters can't be read."""
        before = self._before.counters if self._before is not None else None
        if before is None or self._counters is None:
            return None
        try:
            now = self._counters.read()
        except (OSError, EstabError):
            return None

        def rose(name: str) -> int:
            return deltas.rise(name, None, before, now) or 0

        return connects.connects(
            rose("Tcp.ActiveOpens"),
            rose("Tcp.AttemptFails"),
            embryonic_resets=rose("TcpExt.EmbryonicRsts"),
            aborts_on_timeout=rose("TcpExt.TCPAbortOnTimeout"),
            unanswered=self.owned.unanswered(),
        )

    def targets(self) -> list[ProgramTarget]:
        """What it connected to, fullest first."""
        return [target.so_far for target in self.owned.targets()]

    def close(self) -> None:
        """Give back what `start` opened. May be called twice."""
        for held in (self._diag, self._counters, *self._watches.values()):
            if held is not None:
                held.close()
        self._diag = self._counters = None

    def _look_at_processes(self) -> None:
        self.processes.look_again()
        self.cgroups.see(self._tree)
        self.cpu.see(self._tree)

    def _look_at_sockets(self, *, last: bool = False) -> None:
        diag = self._diag
        assert diag is not None
        with suppress(EstabError):
            listeners = diag.listeners()
            self.owned.look(diag, self._tree, {listener.port for listener in listeners})
            self.looks += 1
            own = [listener for listener in listeners if self.owned.holds(listener.inode)]
            self._note_own(own)
            self.peers.look(diag, self._resending())
            if self._to is None and not last:
                self._watch_new(own)

    def _resending(self) -> list[Target]:
        """To whom its connections send data again; of a target whose clients are not known, that one."""
        own = [(each.so_far.address, each.so_far.port) for each in self.owned.targets() if each.resending]
        return own if self._tree or self._to is None else [self._to]

    def _look_at_unix(self) -> None:
        """Cheap, whatever the connections: how long a queue stood full is told by how many looks found it so."""
        if self._diag is not None:
            with suppress(EstabError):  # a kernel may show TCP's alone
                self._note_own(self.unix.add(self._diag.unix_listeners(), self.owned.holds))

    def _note_own(self, listeners: Iterable[Listener]) -> None:
        self.listens_on.update({each.inode or 0: endpoint(each.address, each.port) for each in listeners})

    def _watch_new(self, own: Sequence[Listener]) -> None:
        """Begin to watch the targets that matter most, and the program's own listeners."""
        targets = [(each.so_far.address, each.so_far.port) for each in self.owned.targets() if each.so_far.port]
        own_ends = [(reached(listener.address), listener.port) for listener in own]
        for target in [*targets, *own_ends]:
            if target not in self._watches and len(self._watches) < MOST_WATCHED:
                self._watch(target)

    def _watch(self, target: Target) -> None:
        via = self._server_via if not self._watches else None
        watch = Watch(*target, server_via=via, before=self._before)
        watch.start()
        self._watches[target] = watch

    def _look(self) -> Look:
        opened = sum(target.open for target in self.owned.targets())
        ends: dict[Target | None, EndsSample] = {each: watch.sample(opened) for each, watch in self._watches.items()}
        return Look(self.connects(), opened, ends or {None: EndsSample()})

    def _without_target(self) -> Observed:
        after = snapshot.take(diag=self._diag)
        changes = deltas.between(self._before.counters if self._before else None, after.counters)
        return Observed(
            client=ClientSide(before=self._before, after=after, deltas=changes),
            server=ServerSide(observed=False, why=_NO_TARGET),
        )
