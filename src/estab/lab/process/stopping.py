"""Processes that are kept from running for a while (SIGSTOP), and go on (SIGCONT)."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection

from estab.errors import MachineError
from estab.kernel.formats import proc_pid
from estab.observe import process_tree

_STANDING = "TtZX"  # stopped, traced, ended (proc_pid_stat(5))
_WITHIN_S = 20.0


def stop(pids: Collection[int]) -> None:
    """Returns once none of them runs: on a busy machine it takes a while until a signal is heard.

    What has ended is left out. Raises MachineError for one that goes on.
    """
    _signal(pids, signal.SIGSTOP)
    deadline = time.monotonic() + _WITHIN_S
    while running := [tid for tid in process_tree.tasks(pids) if not _stands(tid)]:
        if time.monotonic() > deadline:
            raise MachineError(f"thread {running[0]} was to be stopped, and ran on for {_WITHIN_S:g} s")
        time.sleep(0.001)


def resume(pids: Collection[int]) -> None:
    """They go on. What has ended is left out."""
    _signal(pids, signal.SIGCONT)


def _signal(pids: Collection[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _stands(tid: int) -> bool:
    try:
        with open(f"/proc/{tid}/stat", "rb") as file:
            return proc_pid.parse_stat(file.read(), 100).state in _STANDING
    except OSError:  # it has ended
        return True
