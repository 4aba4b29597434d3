"""The queues and counters of one network namespace, and nothing else: cheap enough for ten looks a second."""

from __future__ import annotations

import time
from dataclasses import dataclass

from estab.kernel.formats.proc_net import parse_counters
from estab.observe.counters import CounterFiles
from estab.observe.sock_diag import SockDiag
from estab.records import Listener, Process, Snapshot, Unobserved

_A_LISTENER_BYTES = 400  # what its record takes in memory, about
WHY = "a close look, between two whole ones: queues, drops and counters alone"


@dataclass(frozen=True, slots=True)
class QueueLook:
    """What one look saw at `at_s` (Unix time). `counters` is the text of /proc/net/netstat and snmp, not read yet."""

    at_s: float
    listeners: list[Listener]
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
            listeners=[each.replace(owners=_named(owners.get(each.inode))) for each in self.listeners],
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
        self._before: list[Listener] = []

    def close(self) -> None:
        """Give the descriptors back. May be called twice."""
        self._diag.close()
        self._files.close()

    def look(self) -> QueueLook:
        """The queues now."""
        listeners, counters = self._diag.listeners(), self._files.texts()
        if listeners == self._before:  # on a quiet host all looks share one list
            listeners = self._before
        grown = 0 if listeners is self._before else _A_LISTENER_BYTES * len(listeners)
        self._before = listeners
        return QueueLook(time.time(), listeners, counters, sum(map(len, counters)) + grown)


def _named(owners: list[Process] | None) -> list[Process] | None:
    """Who they are, without what they had at another moment."""
    if owners is None:
        return None
    return [Process(pid=owner.pid, name=owner.name, started_ticks=owner.started_ticks) for owner in owners]
