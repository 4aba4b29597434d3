"""The processes of one end of a run: the most descriptors and tasks that each had, and how its threads fared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from estab.observe import processes, tasks
from estab.records import OwnerSample, Process, Thread


class ProcessWatch:
    """Follows processes by pid. Nothing raises: one that is gone keeps what was last seen of it.

    `closely`: their threads, cgroups and limits of tasks are of interest too.
    """

    def __init__(self, pids: Iterable[int], *, closely: bool = False) -> None:
        self.worst: dict[int, int] = {}
        self._closely = closely
        self._last_seen: dict[int, Process] = {}
        self._threads: dict[int, dict[int, Thread]] = {}
        self._tasks = tasks.TaskWatch()
        self._looked_at_ns = 0
        self.pids: dict[int, None] = {}
        self.add(pids)

    def add(self, pids: Iterable[int]) -> None:
        """Follow these too."""
        for pid in pids:
            if pid not in self.pids:
                self.pids[pid] = None
                self._see(pid)

    def look_again(self) -> None:
        """See each anew: a process may change its limits, and its name when it executes another program."""
        for pid in self.pids:
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

    def look(self, now_ns: int) -> list[OwnerSample] | None:
        """Each process's threads at `now_ns` of a steady clock, against the look before; None where none is seen."""
        span_ns, self._looked_at_ns = now_ns - self._looked_at_ns, now_ns
        before, self._threads = self._threads, {}
        self.count_tasks()
        seen = []
        for pid in self.pids:
            if not (threads := processes.threads(pid)):
                continue
            self._threads[pid] = {thread.tid: thread for thread in threads}
            states = dict(Counter(thread.state for thread in threads))
            sample = OwnerSample(pid=pid, states=states)
            seen.append(_with_shares(sample, before[pid], threads, span_ns) if pid in before else sample)
        return seen or None

    def count_tasks(self) -> None:
        """How many tasks there are now against the limits of each process that is of close interest."""
        if self._closely:
            self._tasks.look(self.pids)

    def processes(self) -> list[Process] | None:
        """Each process with the most `fds` and `tasks`, fullest first; as last seen where it is gone. None: unknown."""
        for pid in self.pids:
            self._see(pid)
        known = [
            process.replace(fds=self.worst.get(pid, process.fds), tasks=tasks.most(self._tasks.of(pid), process.tasks))
            for pid, process in self._last_seen.items()
        ]
        return sorted(known, key=lambda process: -(process.fds or 0)) or None

    def _see(self, pid: int) -> None:
        if (process := processes.process(pid, closely=self._closely)) is not None:
            self._last_seen[pid] = process


def _with_shares(sample: OwnerSample, before: dict[int, Thread], now: list[Thread], span_ns: int) -> OwnerSample:
    """With the shares of the thread that ran most in `span_ns`. A thread that was not there before began at 0."""
    if span_ns <= 0:
        return sample
    spent = []
    for thread in now:
        then = before.get(thread.tid)
        spent.append((thread.ran_ns - (then.ran_ns if then else 0), thread.waited_ns - (then.waited_ns if then else 0)))
    ran_ns, waited_ns = max(spent)
    return sample.replace(ran_share=_share(ran_ns, span_ns), waited_share=_share(waited_ns, span_ns))


def _share(spent_ns: int, span_ns: int) -> float:
    return round(min(1.0, max(0.0, spent_ns / span_ns)), 3)
