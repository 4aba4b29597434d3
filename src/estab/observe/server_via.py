"""The server's end of a run, from snapshots that a command prints: before, when every connect is settled, after.

The command is run three times, and once or twice more where connections wait for accept() when all is settled. Each
takes what it takes (ssh: about a second): the run waits for it. Clocks need not agree: only differences within the
server's counters are used. A command that fails leaves the server unobserved.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from estab.errors import EstabError
from estab.kernel.formats import inet_diag
from estab.kernel.rules.listening import serving
from estab.observe import via
from estab.observe.queue_watch import QueueWatch
from estab.records import Listener, Process, ServerLook, ServerSide, ServerSockets, Snapshot, deltas

# So long something has to wait at each look before a server counts as one that accepts nothing any more; and a bit.
_PAUSE_S = 1.0
_TELLS_S = 1.2

Runner = Callable[[str, int], list[Snapshot]]


class ViaServer:
    """Collects the snapshots of one server's port. Nothing here raises: `why` says what went wrong, first of all."""

    def __init__(
        self,
        command: str,
        address: str,
        port: int,
        run: Runner = via.snapshots,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command, self._address, self._port, self._run = command, address, port, run
        self._clock = clock
        self._again_at: float | None = None
        self._taken: list[Snapshot] = []
        self._while_open: list[Snapshot] = []
        self._at_end: ServerSockets | None = None
        self.why: str | None = None

    def look(self) -> Snapshot | None:
        """Run the command once more; the last snapshot that it printed, None where it failed."""
        try:
            printed = self._run(self._command, self._port)
        except EstabError as error:
            self.why = self.why or f"the server was not seen: {error}"
            return None
        self._taken += printed
        return printed[-1]

    def settled(self) -> Snapshot | None:
        """Run it now that every connect has been settled."""
        seen = self.look()
        if seen is not None:
            self._at_end = seen.server_sockets
            self._while_open.append(seen)
            if self._at_end is not None and self._at_end.queued:
                self._again_at = self._clock() + _PAUSE_S
        return seen

    def meanwhile(self) -> None:
        """Run it again where something waited when all was settled, once a pause of the program would be over."""
        if self._again_at is not None and self._clock() >= self._again_at:
            self._again_at = None
            if (seen := self.look()) is not None:
                self._while_open.append(seen)

    def closing(self) -> None:
        """Run it before all is closed, where something waited when all was settled: has it been accepted since?"""
        self._again_at = None  # later all is closed, and a look would tell of that
        if self._at_end is not None and self._at_end.queued and (seen := self.look()) is not None:
            self._while_open.append(seen)

    def connections(self, seen: Snapshot | None) -> frozenset[bytes] | None:
        """The server's connections in a snapshot, packed as `inet_diag.Established` does; None where not listed."""
        if seen is None or seen.connections is None:
            return None
        with suppress(EstabError):
            return frozenset(inet_diag.pack_connection(connection) for connection in seen.connections)
        return None

    @property
    def server_sockets(self) -> ServerSockets | None:
        """The server's connections when it was last seen."""
        return next((taken.server_sockets for taken in reversed(self._taken) if taken.server_sockets), None)

    def finished(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Run it after the load; and once more where something waits that was not seen long enough to tell a pause."""
        last = self.look()
        waiting_s = self._waiting_s()
        if last is not None and waiting_s is not None and waiting_s < _TELLS_S:
            sleep(_TELLS_S - waiting_s)
            self.look()

    def _waiting_s(self) -> float | None:
        """For how long up to the last look something waited for accept() at each. None: nothing waits at the last."""
        since: float | None = None
        for taken in reversed(self._taken):
            if not any(listener.depth > 0 for listener in self._serving(taken)):
                break
            since = taken.taken_at_s
        return None if since is None else self._taken[-1].taken_at_s - since

    def _looks(self) -> list[ServerLook]:
        return [self._look_at(taken) for taken in self._taken]

    def _look_at(self, taken: Snapshot) -> ServerLook:
        first, listeners = self._taken[0], self._serving(taken)
        risen = deltas.between(first.counters, taken.counters) or {}
        return ServerLook(
            t_s=round(taken.taken_at_s - first.taken_at_s, 4),
            load_open=any(taken is one for one in self._while_open),
            queue_depth=sum(listener.depth for listener in listeners) if listeners else None,
            queue_limit=sum(listener.limit for listener in listeners) if listeners else None,
            queue_depths={str(at.inode): at.depth for at in listeners if at.inode} if len(listeners) > 1 else None,
            listen_overflows=risen.get("TcpExt.ListenOverflows"),
            listen_drops=risen.get("TcpExt.ListenDrops"),
            passive_opens=0 if taken is first and first.counters else risen.get("Tcp.PassiveOpens"),
            server_states=taken.server_sockets.states if taken.server_sockets else None,
            server_held=taken.server_sockets.accepted if taken.server_sockets else None,
        )

    def result(self) -> ServerSide:
        """The server's end. What needs two snapshots is None where there was but one."""
        if self.why is not None or len(self._taken) < 2:
            why = self.why or "its command printed one snapshot only"
            return ServerSide(
                observed=False, why=why, via=self._command, before=self._taken[0] if self._taken else None
            )
        before, after = self._taken[0], self._taken[-1]
        queue = self._queue()
        listener = queue.result()
        return ServerSide(
            observed=True,
            why=None if listener else f"no listener on port {self._port} stands in its snapshots",
            via=self._command,
            before=before,
            after=after,
            deltas=deltas.between(before.counters, after.counters),
            listener=listener,
            looks=self._looks(),
            listeners=queue.each(),
            processes=self._processes(),
        )

    def _serving(self, taken: Snapshot) -> list[Listener]:
        return serving(taken.listeners or (), self._address, self._port, anywhere=True)

    def _queue(self) -> QueueWatch:
        queue = QueueWatch()
        queue.start(self._serving(self._taken[0]))
        for taken in self._taken:
            queue.add(self._serving(taken))
        if self._at_end is not None:
            queue.settled(self._at_end)
        return queue

    def _processes(self) -> list[Process] | None:
        """The listeners' owners, each as it was with most descriptors open, fullest first; None where not told."""
        worst: dict[int, Process] = {}
        for taken in self._taken:
            for owner in (owner for listener in self._serving(taken) for owner in listener.owners or ()):
                known = worst.get(owner.pid)
                if known is None or (owner.fds or 0) >= (known.fds or 0):
                    worst[owner.pid] = owner
        return sorted(worst.values(), key=lambda taken: -(taken.fds or 0)) or None
