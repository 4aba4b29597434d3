"""A command's processes: what descends from it, whoever their parent is by now."""

from __future__ import annotations

import os
from pathlib import Path

from estab.observe import process_tree, via


class Family:
    """To be made before the command is started. From then on this process is given the orphans of its descendants."""

    def __init__(self) -> None:
        process_tree.become_subreaper()
        self._others = process_tree.children_of_this()
        self.command: int | None = None

    def pids(self) -> list[int]:
        """The command and all that descends from it."""
        roots = [*([] if self.command is None else [self.command]), *self._orphans()]
        return process_tree.descendants(roots, without=self._others)

    def reap(self) -> None:
        """Take note of orphans that have ended."""
        process_tree.reap(self._orphans())

    def _orphans(self) -> list[int]:
        """The children that this process was given, but for those that a command of `server_via` left."""
        given = process_tree.children_of_this() - self._others - {self.command}
        return [pid for pid in given if not _is_of_via(pid)]


def _is_of_via(pid: int) -> bool:
    try:
        return f"\0{via.MARK}={os.getpid()}\0".encode() in b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
