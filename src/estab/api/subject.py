"""What `attach` is to watch, as people name it: a PID, a listener, a target, a systemd unit, a container or pod."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

from estab.api import local_server
from estab.api.local_server import LocalServer
from estab.errors import MachineError, UsageError
from estab.kernel.formats.endpoint import is_unix
from estab.kernel.rules.listening import reached
from estab.load.target import resolve
from estab.observe import netns, processes
from estab.observe.netns import Namespace
from estab.observe.process_names import service_of
from estab.observe.program_watch import Target
from estab.records import ServiceName

_MOST_LISTED, _SHORT = 5, 12  # as docker prints an id


@dataclass(frozen=True)
class Subject:
    """Processes by pid, or a target `to` without any; `namespace`: theirs, None for this thread's own.

    `elsewhere` of them are in other network namespaces than the first.
    """

    pids: list[int]
    to: Target | None = None
    namespace: Namespace | None = None
    elsewhere: int = 0


def find(text: str) -> Subject:
    """Who or what is meant. Raises UsageError where that is nobody here, MachineError where it may not be seen."""
    if is_unix(text):
        return _of_processes(_owners(local_server.find(text), text))
    if not local_server.is_local_name(text):
        address, port, _scope = resolve(text, "subject")
        return Subject([], to=(address, port))
    if text.isascii() and text.isdigit() and processes.process(int(text)) is not None:
        return _of_processes([int(text)])
    everyone = {pid: service_of(pid) for pid in sorted(processes.all_pids())}
    if named := _named(text, everyone):
        return _of_processes(named)
    try:
        server = local_server.find(text)
    except UsageError as error:
        looked = f"no unit, container or pod {text!r} has one of the {len(everyone):,} processes that are seen here"
        raise UsageError(f"{looked}, and {error}") from error
    if server.port is None:
        return Subject(_owners(server, text))
    owners = sorted({owner.pid for listener in server.listeners for owner in listener.owners or ()})
    listener = server.listeners[0]
    return Subject(owners, to=None if owners else (reached(listener.address), listener.port))


def _owners(server: LocalServer, text: str) -> list[int]:
    owners = {owner.pid for listener in server.listeners for owner in listener.owners or ()}
    if not owners:
        raise UsageError(f"{text}: whose listener it is can't be seen: run as root, or as its user")
    return sorted(owners)


def _of_processes(pids: list[int]) -> Subject:
    path = f"/proc/{pids[0]}/ns/net"
    try:
        inode = os.stat(path).st_ino
    except OSError as error:
        raise MachineError(f"process {pids[0]} may not be seen ({error.strerror}): run as root") from error
    namespace = None if inode == netns.own().inode else Namespace(inode=inode, path=path, name=str(pids[0]))
    return Subject(pids, namespace=namespace, elsewhere=sum(_is_elsewhere(pid, inode) for pid in pids[1:]))


def _is_elsewhere(pid: int, namespace: int) -> bool:
    with contextlib.suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/net").st_ino != namespace
    return False


def _named(text: str, everyone: Mapping[int, ServiceName | None]) -> list[int]:
    """The processes of a unit, a container or a pod, the oldest first. Raises UsageError where it may be several."""
    known = {pid: service for pid, service in everyone.items() if service is not None}
    if exact := [pid for pid, service in known.items() if text in service.names]:
        return exact
    begun = {pid: name for pid, service in known.items() if (name := service.id_that_begins(text)) is not None}
    if len(several := sorted(set(begun.values()))) > 1:
        listed = ", ".join(name[:_SHORT] for name in several[:_MOST_LISTED])
        raise UsageError(f"{text!r} is how several begin: {listed}: give more of it")
    return list(begun)
