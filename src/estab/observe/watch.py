"""What a run sees of the kernel: before, after, and ten times a second between them.

What lives here: when to look. What is seen is put together by `QueueWatch`, `snapshot` and `ProcessWatch`. Watching
must not become load: `sample` costs the same however many connections are open, and how often that is done which costs
more with their number is `LookBudget`'s to say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from estab.errors import EstabError, UsageError
from estab.kernel.formats import inet_diag, proc_net
from estab.kernel.rules import listening
from estab.observe import ghosts, processes, snapshot
from estab.observe.both import both
from estab.observe.counters import CounterFiles, NetFile
from estab.observe.fast_census import missing
from estab.observe.gaps import Gaps
from estab.observe.local import is_local
from estab.observe.pace import LookBudget, Pace
from estab.observe.process_watch import ProcessWatch
from estab.observe.queue_watch import QueueNow, QueueWatch
from estab.observe.server_via import ViaServer
from estab.observe.silent_peers import ResendWatch
from estab.observe.sock_diag import ClientEnd, ServerEnd, SockDiag
from estab.observe.unix_queues import UnixQueues
from estab.records import (
    ClientSide,
    Ghosts,
    Listener,
    PortUse,
    Record,
    ServerSample,
    ServerSide,
    ServerSockets,
    Snapshot,
    deltas,
)

# What a sample has of the counters of the server's namespace, by their names there.
_COUNTED = {
    "listen_overflows": "TcpExt.ListenOverflows",
    "listen_drops": "TcpExt.ListenDrops",
    "passive_opens": "Tcp.PassiveOpens",
    "attempt_fails": "Tcp.AttemptFails",
    "estab_resets": "Tcp.EstabResets",
}
_ESTABLISHED = "Tcp.CurrEstab"
_NEEDED = frozenset({*_COUNTED.values(), _ESTABLISHED})
_OWNERS_EVERY_S, _OWNERS_SHARE = 0.5, 0.001
_OF_THE_MACHINE = ("TCP.orphan", "TCP.mem")  # of sockstat: what two looks miss if it is there between them alone
UNIX_EVERY_S, UNIX_SHARE = 0.1, 0.005  # of one core, for UNIX sockets that listen
_UNSEEN_QUEUE = QueueNow(depth=None, limit=None, drops=None)


class EndsSample(ServerSample, frozen=True, kw_only=True):
    """Both ends at one moment; None: not observed. The client's part is as `TimelinePoint` has it.

    `time_wait` is the namespace's as sockstat counts it, orphans in FIN-WAIT-2 included: they hold their ports as well.
    """

    time_wait: int | None = None
    client_fds: int | None = None
    client_states: dict[str, int] | None = None


class Observed(Record, frozen=True, kw_only=True):
    """Both ends as a whole run showed them, without the workers.

    `ghosts` are those when every connect had been settled; None where the two ends could not be matched.
    """

    client: ClientSide
    server: ServerSide
    ghosts: Ghosts | None = None


class Watch:
    """Watches one target through a run: `start`, `sample` ten times a second, `settled`, `closing`, `finish`, `close`.

    `host` is a literal address. `server_pids` are given when the server is this run's own. Nothing that cannot be read
    raises: it is None in what is returned. Use it from one thread, in the network namespace of the client.

    `server_via` is a command that prints snapshots of the server's host, as `ssh HOST estab observe --port {port}`. It
    is run at `start`, `settled` and `finish`, which wait for it; the server's end is then what it prints.

    `before`: a snapshot of the whole namespace from when the run began, where the target was not known by then.

    `unix_too`: look at the UNIX sockets beside a target on this host as well, for a proxy may ask there.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        client_pids: Sequence[int] = (),
        server_pids: Sequence[int] | None = None,
        server_via: str | None = None,
        before: Snapshot | None = None,
        unix_too: bool = False,
        clock: Callable[[], float] = time.monotonic,
        cost: Callable[[], float] = time.thread_time,
    ) -> None:
        self._address = self._literal(host)
        self._host = host
        self._port = port
        self._embedded = server_pids is not None
        self._client = ProcessWatch(client_pids)
        self._server = ProcessWatch(server_pids or (), closely=True)
        self._via = ViaServer(server_via, self._address, port) if server_via is not None else None
        self._ghosts: Ghosts | None = None
        self._older = b""  # connections from here to the target that were there before the run
        self._queue = QueueWatch()
        self._resends = ResendWatch()
        self._gaps = Gaps()
        self._diag: SockDiag | None = None
        self._counters: CounterFiles | None = None
        self._sockstat: NetFile | None = None
        self._worst_sockstat: dict[str, int] = {}
        self._why_unseen: str | None = None
        self._before = before
        self._searched: set[int] = set()
        self._last_sockets: ServerSockets | None = None
        self._worst_use: PortUse | None = None
        self._budget = LookBudget(clock, cost)
        self._owner_looks = Pace(_OWNERS_SHARE, _OWNERS_EVERY_S, clock=clock, cost=cost)
        self._unix = UnixQueues() if unix_too else None
        self._unix_looks = Pace(UNIX_SHARE, UNIX_EVERY_S, clock=clock, cost=cost)
        self._closely = EndsSample()  # what was seen since the last sample of what costs more

    def _literal(self, host: str) -> str:
        """Where `host` can be reached. Raises UsageError for what is no address."""
        try:
            return listening.reached(inet_diag.canonical(host))
        except EstabError as error:
            raise UsageError(f"cannot watch {host!r}: {error}") from error

    @property
    def _where(self) -> str:
        return f"{self._host} port {self._port}"

    def start(self, client_pids: Sequence[int] | None = None) -> None:
        """Snapshot both ends, find out whether the target is on this host, its listeners and who owns them."""
        if client_pids is not None:
            self._client = ProcessWatch(client_pids)
        self._diag = self._gaps.read("sock_diag", SockDiag)
        self._counters = self._gaps.read("counters", CounterFiles)
        self._sockstat = self._gaps.read("sockstat", lambda: NetFile("sockstat"))
        if self._via is not None:
            self._why_unseen = "its snapshots come from a command; they stand at the server's side"
            self._via.look()
        elif not is_local(self._host):
            self._why_unseen = f"{self._host} is not an address of this host; its side is seen only there"
        elif self._diag is None:
            self._why_unseen = self._gaps.found[0].why
        if self._before is None:
            self._queue.start(self._listeners() or ())
            self._before = self._snapshot()
            self._note_older()
        else:
            self._begin_late(self._before)
        self._last_sockets = self._before.server_sockets
        self._client.count()
        self._server.count()
        self._look_at_owners()
        if self._unix is not None:
            self._unix.start(self._unix_listeners())
        self._budget.begin()

    def _note_older(self) -> None:
        use = self._before.port_use if self._before else None
        self._note_use(use)
        if use is not None and use.used > use.time_wait:
            self._older = self._client_end() or b""

    def _begin_late(self, whole: Snapshot) -> None:
        """The run's beginning, from a snapshot that was taken then, before anybody knew which target matters."""
        listeners = None if self._why_unseen else [each for each in whole.listeners or () if each.port == self._port]
        self._before = whole.replace(listeners=listeners, port_use=None, targets=None)
        serving = listening.serving(listeners or (), self._address, self._port)
        self._queue.start(serving)
        self._note_owners(serving)
        if (diag := self._diag) is not None:
            with suppress(EstabError):
                self._note_use(snapshot.port_use(diag, self._address, self._port, whole.sysctls or {}))
        new = {listener.inode for listener in self._listeners() or () if listener.inode} - self._searched
        if new:
            self._find_owners(new)

    def sample(self, connections: int = 0, at_s: float | None = None) -> EndsSample:
        """What can be seen cheaply, now; and once in a while also what costs more with the number of connections.

        `connections`: how many there may be in a moment, so that a look at a million is not taken for a cheap one.
        `at_s`: seconds since the run's start; without it no connection that sends again is followed.
        """
        if self._via is not None:
            self._via.meanwhile()
        listeners = self._listeners()
        queue = _UNSEEN_QUEUE if listeners is None else self._queue.add(listeners)
        counted = self._counted()
        if self._budget.allows(connections):
            self._budget.spend(lambda: self._look_closer(listeners or ()), connections)
        if self._diag is not None and at_s is not None:
            with suppress(EstabError):
                self._resends.look(self._diag, at_s)
        if self._owner_looks.due:
            self._owner_looks.spend(self._look_at_owners)
        if self._unix is not None and self._unix_looks.due:
            self._unix_looks.spend(self._look_at_unix)
        closely, self._closely = self._closely, EndsSample()
        return closely.replace(
            queue_depth=queue.depth,
            queue_limit=queue.limit,
            queue_depths=queue.depths,
            listener_drops=queue.drops,
            time_wait=self._time_wait(),
            client_fds=self._client.count(),
            server_fds=self._server.count() if self._why_unseen is None else None,
            **counted,
        )

    def settled(self) -> None:
        """Every connect has been settled: see what the server holds and the ports in use, before anything closes."""
        self._server.count_tasks()
        held, at_server = self._look_at_ends()
        if self._via is not None:
            listed = self._via.connections(self._via.settled())
            at_server = b"".join(listed) if listed is not None else None
        self._ghosts = self._match(held, at_server)

    def closing(self) -> None:
        """All is about to be closed: what waited for accept() when all was settled may have been accepted since."""
        if self._via is not None:
            self._via.closing()
        if self._queue.some_waited and (sockets := self._look_at_server()) is not None:
            self._queue.closing(sockets)
        if self._ghosts is not None and self._ghosts.count and self._via is None:
            at_server = _server_end(self._port)
            left = self._match(self._client_end(), at_server.held if at_server else None)
            self._ghosts = self._ghosts.replace(at_close=left.count if left else None)

    def finish(self) -> Observed:
        """Snapshot both ends again and say what changed. `start` must have been called."""
        if (listeners := self._listeners()) is not None:
            self._queue.add(listeners)
        self._client.count()
        self._server.count()
        before, after = self._before, self._snapshot()
        after = after.replace(listeners=self._with_worst_depth(after), worst_sockstat=self._worst_sockstat or None)
        self._note_use(after.port_use)
        self._last_sockets = after.server_sockets or self._last_sockets
        changes = deltas.between(before.counters if before else None, after.counters)
        client = ClientSide(
            before=before,
            after=after,
            deltas=changes,
            port_use=self._worst_use,
            resending=self._resends.seen(),
        )
        return Observed(client=client, server=self._server_side(before, after, changes), ghosts=self._ghosts)

    def _server_side(self, before: Snapshot | None, after: Snapshot, changes: dict[str, int] | None) -> ServerSide:
        if self._via is not None:
            self._via.finished()
            return self._via.result()
        if self._why_unseen is not None:
            return ServerSide(observed=False, why=self._why_unseen, embedded=self._embedded)
        listener = self._queue.result()
        return ServerSide(
            observed=True,
            why=None if listener else f"no listener for {self._where} was found on this host",
            embedded=self._embedded,
            before=before,
            after=after,
            deltas=changes,
            listener=listener,
            listeners=self._queue.each(),
            processes=self._server.processes(),
            unix_queues=self._unix.seen() if self._unix is not None else None,
        )

    def close(self) -> None:
        """Give back what `start` opened. May be called twice."""
        for held in (self._diag, self._counters, self._sockstat):
            if held is not None:
                held.close()
        self._diag = self._counters = self._sockstat = None

    @property
    def worst_fds(self) -> dict[int, int]:
        """The most descriptors that were seen in use, by pid, of the client's and the server's processes."""
        return {**self._server.worst, **self._client.worst}

    @property
    def server_sockets(self) -> ServerSockets | None:
        """The server's connections when they were last looked at: at start, each close look, `settled`, `finish`."""
        return self._via.server_sockets if self._via is not None else self._last_sockets

    def _look_at_ends(self) -> tuple[bytes | None, bytes | None]:
        """What both ends have; None where it can't be read. Each end is a walk through all sockets: both at once."""
        if self._diag is None:
            return None, None
        if self._why_unseen is not None:
            return self._client_end(), None
        held, server = both(self._client_end, lambda: _server_end(self._port))
        if server is None:
            return held, None
        self._note_server(server.sockets)
        self._queue.settled(server.sockets)
        return held, server.held if self._listeners() else None

    def _match(self, held: bytes | None, at_server: bytes | None) -> Ghosts | None:
        """This run's ghosts; None where the two ends can't be matched: unseen, without listener, or rewritten between.

        The ends are not seen at one moment. So what a server here lacks it is asked for once more, and a connection
        counts only if the client has it before and after that.
        """
        if held is None or at_server is None:
            return None
        turned_away = self._queue.turned_away
        lost = ghosts.match_packed(held, at_server, self._older, turned_away=turned_away)
        if not lost or not lost.count:
            return lost
        if self._via is None:
            again = _server_end(self._port)
            at_server += again.held if again else b""
        held = ghosts.at_both(held, self._client_end() or b"")
        return ghosts.match_packed(held, at_server, self._older, turned_away=turned_away)

    def _client_end(self) -> bytes | None:
        use = self._look_at_ports(packed=True)
        return use.held if use is not None else None

    def _listeners(self) -> list[Listener] | None:
        """The listeners that serve the target; None where they cannot be seen from here."""
        if self._diag is None or self._why_unseen is not None:
            return None
        try:
            return listening.serving(self._diag.listeners(self._port), self._address, self._port)
        except EstabError:
            return None

    def _counted(self) -> dict[str, int | None]:
        """What the counters of the server's namespace rose by; None of what is not seen from here.

        Read just after the listeners: what is accepted is reckoned from both (`diagnose.accepts`).
        """
        before = self._before.counters if self._before else None
        if self._counters is None or self._why_unseen is not None or before is None:
            return {}
        try:
            now = self._counters.some(_NEEDED)
        except (OSError, EstabError):
            return {}
        rises = {field: deltas.rise(name, None, before, now) for field, name in _COUNTED.items()}
        return {**rises, "curr_estab": now.get(_ESTABLISHED)}

    def _unix_listeners(self) -> list[Listener] | None:
        if self._diag is not None and self._why_unseen is None:
            with suppress(EstabError):  # a kernel may show TCP's alone
                return self._diag.unix_listeners()
        return None

    def _look_at_unix(self) -> None:
        listeners = self._unix_listeners()
        if self._unix is not None and listeners is not None:
            self._unix.add(listeners, lambda _inode: False)

    def _look_at_owners(self) -> None:
        if self._why_unseen is None:
            self._closely = self._closely.replace(owners=self._server.look(time.monotonic_ns()))

    def _time_wait(self) -> int | None:
        if self._sockstat is None:
            return None
        try:
            seen = proc_net.parse_sockstat(self._sockstat.read())
        except (OSError, EstabError):
            return None
        for name in _OF_THE_MACHINE:
            if name in seen:
                self._worst_sockstat[name] = max(self._worst_sockstat.get(name, 0), seen[name])
        return seen.get("TCP.tw")

    def _look_closer(self, listeners: Iterable[Listener]) -> None:
        """What costs more with the number of connections."""
        self._look_at_ports()
        self._look_at_server()
        new = {listener.inode for listener in listeners if listener.inode} - self._searched
        if new and not self._embedded:
            self._find_owners(new)

    def _look_at_ports(self, *, packed: bool = False) -> ClientEnd | None:
        if self._diag is None:
            return None
        known = self._worst_use
        with suppress(EstabError):
            seen = self._diag.toward(
                self._address,
                self._port,
                capacity=known.capacity if known else None,
                bound=known.bound if known else None,
                packed=packed,
            )
            self._closely = self._closely.replace(client_states=seen.states)
            self._note_use(seen.use)
            if seen.resending:
                self._resends.notice(missing(seen.resending, self._older))
            return seen
        return None

    def _look_at_server(self) -> ServerSockets | None:
        if self._diag is None or self._why_unseen is not None:
            return None
        with suppress(EstabError):
            sockets = self._diag.server_sockets(self._port)
            self._note_server(sockets)
            return sockets
        return None

    def _note_server(self, sockets: ServerSockets) -> None:
        self._last_sockets = sockets
        self._closely = self._closely.replace(server_states=sockets.states, server_held=sockets.accepted)

    def _note_use(self, use: PortUse | None) -> None:
        if use is not None and (self._worst_use is None or use.used > self._worst_use.used):
            self._worst_use = use

    def _find_owners(self, inodes: set[int]) -> None:
        """Follow the owners of listeners that appeared during the run. Each listener is searched for once."""
        self._searched |= inodes
        with suppress(OSError):
            self._server.add(pid for pids in processes.owners(inodes).by_inode.values() for pid in pids)

    def _snapshot(self) -> Snapshot:
        taken = snapshot.take(
            port=self._port,
            toward=(self._address, self._port),
            remote=self._why_unseen,
            diag=self._diag,
            owner_pids=list(self._server.pids) if self._embedded else None,
        )
        serving = {listener.inode for listener in self._listeners() or () if listener.inode}
        self._note_owners([listener for listener in taken.listeners or () if listener.inode in serving])
        return taken

    def _note_owners(self, serving: Sequence[Listener]) -> None:
        self._searched |= {listener.inode for listener in serving if listener.inode}
        if not self._embedded:
            self._server.add(owner.pid for listener in serving for owner in listener.owners or ())

    def _with_worst_depth(self, taken: Snapshot) -> list[Listener] | None:
        if taken.listeners is None:
            return None
        worst = self._queue.worst_depth
        return [listener.replace(worst_depth=worst(listener.inode or 0)) for listener in taken.listeners]


def _server_end(port: int) -> ServerEnd | None:
    """The server's end, by a netlink socket of its own; None where it can't be read."""
    with suppress(EstabError), SockDiag() as diag:
        return diag.server_end(port)
    return None
