"""Who owns the listeners, remembered: to search the descriptors of all processes at every look would be load."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from estab.observe import processes, snapshot
from estab.observe.gaps import Gaps
from estab.observe.pace import Pace
from estab.observe.processes import Owners
from estab.records import Listener, Process
from estab.records.snapshot import UNIX_FAMILY

# A worker process that a server starts later holds the same socket: so all are searched again, now and then.
_AGAIN_S = 30.0
_SHARE = 0.005
_CLOSELY_SHARE = 0.003  # threads and cgroups, two small files for each thread


class KnownOwners:
    """Gives listeners their owners. It searches where a listener is new, and now and then, in 0.5% of the time."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, cost: Callable[[], float] = time.thread_time
    ) -> None:
        self._found = Owners(by_inode={}, hidden=0)
        self._searched: set[int] = set()
        self._for_new = Pace(_SHARE, 0.0, clock=clock, cost=clock)
        self._for_all = Pace(_SHARE, _AGAIN_S, clock=clock, cost=clock)
        self._closely = Pace(_CLOSELY_SHARE, 0.0, clock=clock, cost=cost)
        self._seen: dict[int, Process | None] = {}  # by `look`, until the next `fill`

    def look(self) -> None:
        """See those that are known, before the listeners are read that `fill` is to be given.

        What has not run from one look to the next has then accepted nothing of what waited at the listeners in between.
        Seen after them, it may have accepted all of it before it was seen.
        """
        self._seen = self._facts({pid for pids in self._found.by_inode.values() for pid in pids})

    def fill(self, listeners: Sequence[Listener], gaps: Gaps) -> list[Listener]:
        """The listeners with owners and what each of these has open now, and when that is due, how its threads fare.

        TCP's and UNIX ones together: they are searched for in one pass.
        """
        inodes = {listener.inode for listener in listeners if listener.inode}
        if self._for_all.due or (inodes - self._searched and self._for_new.due):
            self._for_all.spend(lambda: self._for_new.spend(lambda: self._search(inodes, gaps)))
        pids = {pid for inode in inodes for pid in self._found.by_inode.get(inode, ())}
        facts, self._seen = self._seen | self._facts(pids - self._seen.keys()), {}
        filled = [self._with_owners(listener, facts) for listener in listeners]
        for field, is_unix in (("listeners.owners", False), ("unix_listeners.owners", True)):
            if any(each.owners is None and (each.family == UNIX_FAMILY) == is_unix for each in filled):
                gaps.note(field, snapshot.why_unowned(self._found.hidden))
        return filled

    def _facts(self, pids: Collection[int]) -> dict[int, Process | None]:
        if pids and self._closely.due:
            return self._closely.spend(lambda: {pid: processes.process(pid, closely=True) for pid in pids})
        return {pid: processes.process(pid) for pid in pids}

    def _search(self, inodes: set[int], gaps: Gaps) -> None:
        owners = gaps.read("listeners.owners", lambda: processes.owners(inodes))
        if owners is not None:
            self._found, self._searched = owners, inodes

    def _with_owners(self, listener: Listener, facts: dict[int, Process | None]) -> Listener:
        pids = self._found.by_inode.get(listener.inode or 0, ())
        return listener.replace(owners=[fact for pid in pids if (fact := facts.get(pid))] or None)
