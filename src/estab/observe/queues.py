"""The queues and counters of one network namespace, and nothing else: cheap enough for ten looks a second."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from estab.kernel.formats.proc_net import parse_counters
from estab.observe.counters import CounterFiles
from estab.observe.sock_diag import ListeningDump, SockDiag
from estab.records import Listener, Process, Snapshot, Unobserved

WHY = "a close look, between two whole ones: queues, drops and counters alone"


class Listening(Protocol):
    """What listened, as it was told (`sock_diag.ListeningDump`)."""

    def listeners(self) -> list[Listener]:
        """Each listener. Raises ParseError."""


@dataclass(frozen=True, slots=True)
class QueueLook:
    """What one look saw at `at_s` (Unix time). Nothing of it has been read yet: few are ever asked what stands in them.

    `counters` is the text of /proc/net/netstat and snmp. `size`: the bytes that it takes in memory, about.
    """

    at_s: float
    listening: Listening
    counters: tuple[bytes, ...]
    size: int

    def snapshot(self, whole: Snapshot) -> Snapshot:
        """As a snapshot; what changes seldom, and who the owners are, is taken from a `whole` one of about then.

        Raises ParseError.
        """
        owners = {listener.inode: listener.owners for listener in whole.listeners or ()}
        return Snapshot(
            taken_at_s=self.at_s,
            host=whole.host,
            netns=whole.netns,
            sysctls=whole.sysctls,
            nofile_soft=whole.nofile_soft,
            nofile_hard=whole.nofile_hard,
            listeners=[each.replace(owners=_named(owners.get(each.inode))) for each in self.listening.listeners()],
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
        self._before: ListeningDump | None = None

    def close(self) -> None:
        """Give the descriptors back. May be called twice."""
        self._diag.close()
        self._files.close()

    def look(self) -> QueueLook:
        """The queues now."""
        dump, counters = self._diag.listening_dump(), self._files.texts()
        grown = 0
        if self._before is not None and dump == self._before:
            dump = self._before  # on a quiet host all looks share one
        else:
            grown = dump.size
        self._before = dump
        return QueueLook(time.time(), dump, counters, sum(map(len, counters)) + grown)


def _named(owners: list[Process] | None) -> list[Process] | None:
    """Who they are, without what they had at another moment."""
    if owners is None:
        return None
    return [Process(pid=owner.pid, name=owner.name, started_ticks=owner.started_ticks) for owner in owners]
