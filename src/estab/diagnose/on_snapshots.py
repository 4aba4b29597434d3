"""`Snapshots`: one or two moments of a host, read as suspects ask, and as a run in which nothing was attempted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from estab.diagnose.evidence import measured
from estab.kernel.formats.endpoint import endpoint, is_unix
from estab.kernel.rules import accept_queue
from estab.kernel.rules.accept_queue import drops_since, fill, is_full
from estab.kernel.rules.listener_history import ListenerHistory
from estab.records import (
    ClientSide,
    Evidence,
    Funnel,
    Listener,
    ListenerWatch,
    Process,
    RunResult,
    ServerSide,
    Snapshot,
    deltas,
)
from estab.words import plural

LISTENERS_UNSEEN = "The listeners were not observed."


@dataclass(frozen=True)
class Queue:
    """One listener now, and what its own drops rose by since the first snapshot (None: not known)."""

    now: Listener
    then: Listener | None
    drops: int | None

    @property
    def full(self) -> bool:
        """Is it full at this moment (B+1 waiting)?"""
        return is_full(max(0, self.now.depth), max(0, self.now.limit))

    @property
    def distress(self) -> tuple[bool, bool, float, int]:
        """Of two listeners the greater one is in greater distress."""
        return self.full, bool(self.drops), fill(self.now.depth, self.now.limit), self.drops or 0

    @property
    def where(self) -> str:
        """The listener's address and port."""
        return endpoint(self.now.address, self.now.port)

    @property
    def room(self) -> int:
        """How many connections the queue holds."""
        return accept_queue.room(self.now.limit)

    @property
    def wait_and_fit(self) -> str:
        """How many wait and how many can, in words."""
        return f"{plural(self.now.depth, 'waits', 'wait')}, {plural(self.room, 'fits', 'fit')}"

    @property
    def evidence(self) -> Evidence:
        """How many wait at the listener now, and before."""
        then = "" if self.then is None else f", {self.then.depth:,} before"
        text = (
            f"{plural(self.now.depth, 'waits', 'wait')} at {self.where} now{then}, {plural(self.room, 'fits', 'fit')}"
        )
        return measured("sock_diag", "depth", self.now.depth, text, self.room)


class Snapshots:
    """Snapshots of one host: `after`, and `before` where there are two."""

    def __init__(self, before: Snapshot | None, after: Snapshot) -> None:
        self.before = before
        self.after = after

    @property
    def span_s(self) -> float:
        """Seconds between the two; 0 where there is one."""
        return self.after.taken_at_s - self.before.taken_at_s if self.before else 0.0

    @cached_property
    def deltas(self) -> dict[str, int] | None:
        """What each counter rose by between the two. None: there is one, or its counters were not read."""
        return deltas.between(self.before.counters if self.before else None, self.after.counters)

    @property
    def why_no_deltas(self) -> str | None:
        """Why nothing can be said of what counters rose by. None: it can."""
        if self.deltas is not None:
            return None
        if self.before is None:
            return "Counters since boot are no evidence: it takes a second snapshot."
        return "The counters were not observed at both moments."

    def rose(self, counter: str) -> int | None:
        """By how much a counter rose between the two. None: not known."""
        return (self.deltas or {}).get(counter)

    def sysctl(self, name: str) -> int | None:
        """The first number of a sysctl as it stands now. None: not read, or it is text."""
        values = (self.after.sysctls or {}).get(name)
        return values[0] if isinstance(values, list) and values else None

    @cached_property
    def queues(self) -> list[Queue]:
        """Every listener, the one in the greatest distress first."""
        known = {_key(listener): listener for listener in (self.before.listeners if self.before else None) or []}
        queues = [_queue(listener, known.get(_key(listener))) for listener in self.after.listeners or []]
        return sorted(queues, key=lambda queue: queue.distress, reverse=True)

    @cached_property
    def unix_queues(self) -> list[Queue]:
        """Every UNIX socket that listens, the one in the greatest distress first."""
        known = {_key(each): each for each in (self.before.unix_listeners if self.before else None) or []}
        queues = [_queue(each, known.get(_key(each))) for each in self.after.unix_listeners or []]
        return sorted(queues, key=lambda queue: queue.distress, reverse=True)

    @property
    def fullest(self) -> Queue | None:
        """The first of `queues`. None: nothing listens, or the listeners were not read."""
        return self.queues[0] if self.queues else None

    def run(self, queue: Queue | None) -> RunResult:
        """The snapshots as a run in which nothing was attempted, watched at `queue`."""
        # One snapshot gives its sysctls for "before", and no counters: those since boot are no evidence.
        base = self.before or self.after.replace(counters=None)
        owners: list[Process] = list(queue.now.owners or []) if queue is not None else []
        server = ServerSide(
            observed=True,
            before=base,
            after=self.after,
            deltas=self.deltas,
            listener=_watch(queue) if queue is not None else None,
            listeners=self._group(queue) if queue is not None else [],
            processes=owners or None,
        )
        return RunResult(
            command="observe",
            config=_config(queue),
            host=self.after.host,
            started_at_s=self.after.taken_at_s - self.span_s,
            elapsed_s=self.span_s,
            engine="none",
            funnel=Funnel(),
            client=ClientSide(before=base, after=self.after, deltas=self.deltas, port_use=self.after.port_use),
            server=server,
        )

    def _group(self, queue: Queue) -> list[ListenerWatch]:
        """Each listener of the port where there are several (SO_REUSEPORT)."""
        group = [_watch(other) for other in self.queues if other.now.port == queue.now.port]
        return group if len(group) > 1 else []


class ProgramSnapshots(Snapshots):
    """Both ends of a program's target at the start and the end of a run: what `Snapshots` has, at its worst between.

    Its queues are the target's alone.
    """

    def __init__(self, run: RunResult) -> None:
        seen = run.server if run.server.observed else run.client
        after = seen.after or Snapshot(taken_at_s=run.started_at_s + run.elapsed_s, host=run.host)
        super().__init__(seen.before, after.replace(port_use=run.client.port_use, targets=None))
        self._run = run

    def run(self, queue: Queue | None) -> RunResult:
        """The run itself, whichever of the target's queues is meant."""
        del queue
        return self._run


def _config(queue: Queue | None) -> dict[str, int | float | str | bool | list[str] | None]:
    """Which listener is meant: by its port, or by its path."""
    if queue is None:
        return {}
    return {"target": queue.where} if is_unix(queue.now.address) else {"port": queue.now.port}


def _key(listener: Listener) -> tuple[int, str, int, int | None]:
    return listener.family, listener.address, listener.port, listener.inode


def _queue(now: Listener, then: Listener | None) -> Queue:
    drops = None
    if then is not None and now.drops is not None and then.drops is not None:
        drops = drops_since(then.drops, now.drops)
    return Queue(now, then, drops)


def _watch(queue: Queue) -> ListenerWatch:
    history = ListenerHistory(queue.then.drops if queue.then is not None else None)
    if queue.then is not None:
        history.add(queue.then.replace(worst_depth=None))
    # Of one moment alone the worst depth is what an exporter saw before it, since nobody knows when.
    history.add(queue.now if queue.then is not None else queue.now.replace(worst_depth=None))
    # Between two moments it may have fallen.
    return history.watch(1).replace(rose_only=False)
