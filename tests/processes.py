"""Processes that a test looks at: whose they are, and whether they have ended."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Iterable, Set
from pathlib import Path


def children(pid: int) -> list[int]:
    """The processes whose parent is `pid`."""
    found = []
    for each in sorted(running()):
        try:
            stat = Path(f"/proc/{each}/stat").read_text("utf-8", "replace")  # a process may call itself anything
        except OSError:
            continue
        if int(stat.rsplit(")", 1)[1].split()[1]) == pid:
            found.append(each)
    return found


def ended(handle: int) -> bool:
    """Whether the process of this handle (pidfd_open(2)) ends within 20 seconds. The handle is closed."""
    try:
        return bool(select.select([handle], [], [], 20)[0])
    finally:
        os.close(handle)


def wait_gone(pids: Iterable[int]) -> None:
    """Returns when none of the processes is left; fails where one takes more than 20 seconds."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            assert ended(os.pidfd_open(pid)), f"process {pid} is still there"


def running() -> set[int]:
    """Every process that there is."""
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


def marked(mark: str, besides: Set[int] = frozenset()) -> set[int]:
    """Every process that was started with the mark in its environment, whoever its parent is now.

    `besides`: those that are not looked at, for they were there before.
    """
    found = set()
    for pid in running() - besides:
        with contextlib.suppress(OSError):
            if mark.encode() in Path(f"/proc/{pid}/environ").read_bytes():
                found.add(pid)
    return found
