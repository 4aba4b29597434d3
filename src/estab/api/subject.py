"""What `attach` is to watch, as people name it: a PID, a listener, a target, a systemd unit, a container or pod."""

from __future__ import annotations

import os
from dataclasses import dataclass

from estab.api import local_server
from estab.errors import MachineError, UsageError
from estab.kernel.rules.listening import reached
from estab.load.target import resolve
from estab.observe import netns, processes
from estab.observe.netns import Namespace
from estab.observe.process_names import process_names
from estab.observe.program_watch import Target

_LEAST_OF_AN_ID = 6  # letters of a container's id or a pod's uid


@dataclass(frozen=True)
class Subject:
    """Processes by pid, or a target `to` without any; `namespace`: theirs, None for this thread's own."""

    pids: list[int]
    to: Target | None = None
    namespace: Namespace | None = None


def find(text: str) -> Subject:
    """Who or what is meant. Raises UsageError where that is nobody here, MachineError where it may not be seen."""
    if not local_server.is_local_name(text):
        address, port, _scope = resolve(text, "subject")
        return Subject([], to=(address, port))
    if text.isascii() and text.isdigit() and processes.process(int(text)) is not None:
        return _of_processes([int(text)])
    if named := _named(text):
        return _of_processes(named)
    try:
        server = local_server.find(text)
    except UsageError as error:
        raise UsageError(f"no unit, container or pod {text!r} has a process here, and {error}") from error
    owners = {owner.pid for listener in server.listeners for owner in listener.owners or ()}
    if not owners and server.port is None:
        raise UsageError(f"{text}: whose listener it is can't be seen: run as root, or as its user")
    listener = server.listeners[0]
    return Subject(sorted(owners), to=None if owners else (reached(listener.address), listener.port))


def _of_processes(pids: list[int]) -> Subject:
    path = f"/proc/{pids[0]}/ns/net"
    try:
        inode = os.stat(path).st_ino
    except OSError as error:
        raise MachineError(f"process {pids[0]} may not be seen ({error.strerror}): run as root") from error
    own = inode == netns.own().inode
    return Subject(pids, namespace=None if own else Namespace(inode=inode, path=path, name=str(pids[0])))


def _named(text: str) -> list[int]:
    """The processes of a unit, a container or a pod, the oldest first."""
    return [pid for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()) if _is_of(pid, text)]


def _is_of(pid: int, text: str) -> bool:
    names = process_names(pid)
    if text in (names.unit, names.container, names.pod):
        return True
    if len(text) < _LEAST_OF_AN_ID:
        return False
    # An id is known by its first 12 digits, and may be given by fewer or by all of them.
    in_container = names.container is not None and names.container.startswith(text[:12])
    return in_container or (names.pod is not None and names.pod.startswith(text))
