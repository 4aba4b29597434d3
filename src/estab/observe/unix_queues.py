"""The accept queues of the UNIX sockets of a network namespace while a program runs, look by look.

Pure but for the search for their owners, which is made once, at the end, of those that are told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from estab.kernel.rules.accept_queue import fill, is_full
from estab.kernel.rules.listener_history import ListenerHistory
from estab.observe import processes
from estab.records import Listener, Process, UnixQueue

_MOST = 20  # that a record lists


class UnixQueues:
    """Follows each by its inode: `start`, `add` at each look, `seen` at the end."""

    def __init__(self) -> None:
        self._histories: dict[int, ListenerHistory] = {}
        self._last: dict[int, Listener] = {}
        self._owners: dict[int, list[Process]] = {}
        self._full_before: set[int] = set()
        self._own: set[int] = set()
        self._looked = False

    def start(self, listeners: Sequence[Listener] | None) -> None:
        """Those before the program did anything, with their owners."""
        for listener in listeners or ():
            inode = listener.inode or 0
            self._owners[inode] = listener.owners or []
            if is_full(listener.depth, listener.limit):
                self._full_before.add(inode)

    def add(self, listeners: Sequence[Listener], holds: Callable[[int | None], bool]) -> list[Listener]:
        """One look. `holds`: whether the program has a socket. Returns those that are its own."""
        self._looked = True
        own = [listener for listener in listeners if holds(listener.inode)]
        self._own |= {listener.inode or 0 for listener in own}
        for listener in listeners:
            inode = listener.inode or 0
            self._histories.setdefault(inode, ListenerHistory(None)).add(listener)
            self._last[inode] = listener
        return own

    def seen(self) -> list[UnixQueue] | None:
        """Those at which something waited, and the program's own, the fullest first; None: they could not be seen."""
        if not self._looked:
            return None
        told = [inode for inode, history in self._histories.items() if history.worst_depth or inode in self._own]
        told = sorted(told, key=self._distress, reverse=True)[:_MOST]
        self._find_owners([inode for inode in told if not self._owners.get(inode)])
        return [self._queue(inode) for inode in told]

    def _distress(self, inode: int) -> tuple[int, float, bool]:
        history = self._histories[inode]
        return history.full_samples, fill(history.worst_depth, self._last[inode].limit), inode in self._own

    def _find_owners(self, inodes: Sequence[int]) -> None:
        for inode, pids in processes.owners(inodes).by_inode.items():
            self._owners[inode] = [found for pid in pids if (found := processes.process(pid)) is not None]

    def _queue(self, inode: int) -> UnixQueue:
        history, last = self._histories[inode], self._last[inode]
        return UnixQueue(
            address=last.address,
            limit=last.limit,
            worst_depth=history.worst_depth,
            looks=history.samples,
            full_looks=history.full_samples,
            full_before=inode in self._full_before,
            own=inode in self._own,
            owners=self._owners.get(inode) or None,
        )
