"""Processes that a test looks at: whose they are, and whether they have ended."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Iterable
from pathlib import Path


def children(pid: int) -> list[int]:
    """The processes whose parent is `pid`."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            stat = Path(f"/proc/{name}/stat").read_text("utf-8", "replace")  # a process may call itself anything
        except OSError:
            continue
        if int(stat.rsplit(")", 1)[1].split()[1]) == pid:
            found.append(int(name))
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


def marked(mark: str) -> set[int]:
    """Every process that was started with the mark in its environment, whoever its parent is now."""
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if mark.encode() in Path(f"/proc/{name}/environ").read_bytes():
                found.add(int(name))
    return found
