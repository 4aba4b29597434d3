"""The fullest process of either end: how many of its descriptors are in use, None where none was read."""

from __future__ import annotations

from dataclasses import dataclass

from estab.diagnose.evidence import measured
from estab.diagnose.facts import workers
from estab.records import Evidence, Process, RunResult, ServiceName, Worker
from estab.words import plural


@dataclass(frozen=True)
class FullestProcess:
    """One process at its fullest: `fds` open of `limit` (RLIMIT_NOFILE, soft). `who`: `nginx (pid 300)`."""

    pid: int
    name: str
    fds: int
    limit: int
    who: str
    service: ServiceName | None = None

    @property
    def at_limit(self) -> bool:
        """No descriptor is left for the next accept() or socket()."""
        return self.fds >= self.limit

    @property
    def at_its_last(self) -> bool:
        """One is left at most: accept() takes it, and what the program opens beside (a file, a backend) finds none."""
        return self.fds >= self.limit - 1


def evidence(full: FullestProcess | None) -> list[Evidence]:
    """How many descriptors a server's process had open, of how many; nothing where none was read."""
    if full is None:
        return []
    text = f"{full.who} had {plural(full.fds, 'descriptor')} open of {full.limit:,} (RLIMIT_NOFILE)"
    return [measured("/proc/PID/fd", "fds", full.fds, text, full.limit)]


def fullest_server(run: RunResult) -> FullestProcess | None:
    """The server process with the fewest descriptors to spare. None: neither the owners nor our workers were read."""
    if not run.server.observed and not run.server.embedded:
        return None
    return _fullest(run.server.processes or [], workers(run, "server"))


def fullest_client(run: RunResult) -> FullestProcess | None:
    """The client process with the fewest descriptors to spare, ours or the watched program's. None: not read.

    A process that serves the target is the server's.
    """
    serving = {process.pid for process in run.server.processes or []}
    return _fullest([p for p in run.client.processes or [] if p.pid not in serving], workers(run, "client"))


def _fullest(processes: list[Process], ours: list[Worker]) -> FullestProcess | None:
    known = [
        FullestProcess(p.pid, p.name or "process", p.fds, p.nofile_soft, p.words, p.service)
        for p in processes
        if p.fds is not None and p.nofile_soft is not None
    ]
    known += [
        FullestProcess(w.pid, "estab", w.worst_fds, w.nofile_soft, f"estab (pid {w.pid})")
        for w in ours
        if w.worst_fds is not None and w.nofile_soft is not None
    ]
    return min(known, key=lambda d: d.limit - d.fds, default=None)
