"""The processes of one end of a run, and the most descriptors that each was seen to have open."""

from __future__ import annotations

from collections.abc import Iterable

from estab.observe import processes
from estab.records import Process


class Descriptors:
    """Follows processes by pid. Nothing raises: one that is gone keeps what was last seen of it."""

    def __init__(self, pids: Iterable[int]) -> None:
        self.worst: dict[int, int] = {}
        self._last_seen: dict[int, Process] = {}
        self.pids: dict[int, None] = {}
        self.add(pids)

    def add(self, pids: Iterable[int]) -> None:
        """Follow these too."""
        for pid in pids:
            if pid not in self.pids:
                self.pids[pid] = None
                self._see(pid)

    def count(self) -> int | None:
        """The descriptors of the process that has most now; None where none can be counted."""
        most: int | None = None
        for pid in self.pids:
            count = processes.fd_count(pid)
            if count is None:
                continue
            if count > self.worst.get(pid, -1):
                self.worst[pid] = count
            if most is None or count > most:
                most = count
        return most

    def processes(self) -> list[Process] | None:
        """Each process with its worst count in `fds`, fullest first; as last seen where it is gone. None: unknown."""
        for pid in self.pids:
            self._see(pid)
        found = [one.replace(fds=self.worst.get(pid, one.fds)) for pid, one in self._last_seen.items()]
        return sorted(found, key=lambda one: -(one.fds or 0)) or None

    def _see(self, pid: int) -> None:
        if (found := processes.process(pid)) is not None:
            self._last_seen[pid] = found
