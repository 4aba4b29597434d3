"""The network namespace of a program that is watched: perhaps another one than that of who started it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

from estab.observe import netns
from estab.observe.netns import Namespace

T = TypeVar("T")


class ProgramNamespace:
    """That of this thread, until it is another one. `close` it."""

    def __init__(self) -> None:
        self._namespace: Namespace | None = None
        self._opened: list[int] = []

    @property
    def inode(self) -> int | None:
        """Which one it is; None where that can't be told."""
        return self._namespace.inode if self._namespace is not None else netns.own().inode

    def inside(self, work: Callable[[], T]) -> T:
        """What `work` returns there. Raises MachineError where this process may not enter."""
        return work() if self._namespace is None else netns.inside(self._namespace, work)

    def be(self, namespace: Namespace | None) -> None:
        """This one from now on. It is held open: it is entered again and again, and its process may be gone by then."""
        if namespace is not None:
            self._opened.append(os.open(namespace.path, os.O_RDONLY | os.O_CLOEXEC))
            namespace = namespace.replace(path=f"/proc/self/fd/{self._opened[-1]}")
        self._namespace = namespace

    def follow(self, pids: Sequence[int]) -> bool:
        """Be where the youngest of these processes is, that can be seen. Whether that is another one."""
        here = self.inode
        for pid in reversed(pids):
            path = f"/proc/{pid}/ns/net"
            try:
                inode = os.stat(path).st_ino
                if inode != here:
                    self.be(Namespace(inode=inode, path=path, name=str(pid)))
            except OSError:
                continue
            return inode != here
        return False

    def close(self) -> None:
        """Let go of what was held. May be called twice."""
        for opened in self._opened:
            os.close(opened)
        self._opened = []
