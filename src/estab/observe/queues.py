"""The queues and counters of one network namespace, and nothing else: cheap enough for ten looks a second."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from estab.errors import MachineError
from estab.kernel.formats.proc_net import parse_counters
from estab.observe.counters import CounterFiles
from estab.observe.sock_diag import ListeningDump, SockDiag
from estab.records import Listener, Process, Snapshot, Unobserved

WHY = "a close look, between two whole ones: queues, drops and counters alone"


class Listening(Protocol):
    """What listened, as it was told (`sock_diag.ListeningDump`)."""

    def listeners(self) -> list[Listener]:
        """Each listener of TCP. Raises ParseError."""

    def unix_listeners(self) -> list[Listener]:
        """Each UNIX socket that listens, where these were asked for. Raises ParseError."""


@dataclass(frozen=True, slots=True)
class QueueLook:
    """What one look saw at `at_s` (Unix time). Nothing of it has been read yet: few are ever asked what stands in them.

    `counters` is the text of /proc/net/netstat and snmp. `size`: the bytes that it takes in memory, about.
    `unix_listening`: UNIX sockets; None: this kernel does not tell of them.
    """

    at_s: float
    listening: Listening
    counters: tuple[bytes, ...]
    size: int
    unix_listening: Listening | None = None

    def snapshot(self, whole: Snapshot) -> Snapshot:
        """As a snapshot; what changes seldom, and who the owners are, is taken from a `whole` one of about then.

        Raises ParseError.
        """
        owners = {listener.inode: listener.owners for listener in whole.all_listeners}
        unix = None if self.unix_listening is None else self.unix_listening.unix_listeners()
        return Snapshot(
            taken_at_s=self.at_s,
            host=whole.host,
            netns=whole.netns,
            sysctls=whole.sysctls,
            nofile_soft=whole.nofile_soft,
            nofile_hard=whole.nofile_hard,
            listeners=[each.replace(owners=_named(owners.get(each.inode))) for each in self.listening.listeners()],
            unix_listeners=unix and [each.replace(owners=_named(owners.get(each.inode))) for each in unix],
            counters={name: value for text in self.counters for name, value in parse_counters(text).items()},
            unobserved=[Unobserved(field=field, why=WHY) for field in ("listeners.owners.fds", "census", "conntrack")],
        )


class QueueReader:
    """Reads them again and again, by what it opened in the namespace of the thread that made it.

    Raises OSError and EstabError, here and at each look.
    """

    def __init__(self) -> None:
        self._files = CounterFiles()
        try:
            self._diag = SockDiag()
        except BaseException:
            self._files.close()
            raise
        self._before: dict[str, ListeningDump] = {}
        self._tells_unix = True

    def close(self) -> None:
        """Give the descriptors back. May be called twice."""
        self._diag.close()
        self._files.close()

    def look(self) -> QueueLook:
        """The queues now."""
        dump, grown = self._shared("tcp", self._diag.listening_dump())
        counters, unix = self._files.texts(), self._unix()
        if unix is not None:
            unix, more = self._shared("unix", unix)
            grown += more
        return QueueLook(time.time(), dump, counters, sum(map(len, counters)) + grown, unix)

    def _unix(self) -> ListeningDump | None:
        if not self._tells_unix:
            return None
        try:
            return self._diag.unix_listening_dump()
        except MachineError:  # no unix_diag, and it will not come
            self._tells_unix = False
            return None

    def _shared(self, which: str, dump: ListeningDump) -> tuple[ListeningDump, int]:
        """The dump, or the one before where nothing changed: on a quiet host all looks share one. What it adds."""
        before = self._before.get(which)
        if before is not None and dump == before:
            return before, 0
        self._before[which] = dump
        return dump, dump.size


def _named(owners: list[Process] | None) -> list[Process] | None:
    """Who they are, without what they had at another moment."""
    if owners is None:
        return None
    return [Process(pid=owner.pid, name=owner.name, started_ticks=owner.started_ticks) for owner in owners]
