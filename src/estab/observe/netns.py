"""Other network namespaces: finding them, and looking into one from a thread that ends there.

A namespace that `ip netns` made has a name. That of a container is kept alive by a process or by a file that the
runtime bound to it, and is called as its pod or container is, else by the PID or the file's name.

This process's own threads never leave their namespace: `inside` enters with a thread of its own (setns(2) changes the
calling thread alone), which dies with the work. What that thread opens stays in the namespace it was opened in.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import threading
from collections.abc import Callable
from typing import TypeVar

from estab.errors import EstabError, MachineError, UsageError
from estab.kernel.formats.mountinfo import network_namespaces
from estab.observe.process_names import service_of
from estab.records import Record
from estab.words import plural

_CLONE_NEWNET = 0x40000000
_NAMED = "/run/netns"
_OWN = "/proc/thread-self/ns/net"
T = TypeVar("T")


class Namespace(Record, frozen=True, kw_only=True):
    """A network namespace: its inode, the path that names it, and what people call it (None: this thread's own)."""

    inode: int
    path: str
    name: str | None = None


class Namespaces(Record, frozen=True, kw_only=True):
    """The namespaces that can be seen, the own one first; `hidden` processes would not show theirs."""

    namespaces: list[Namespace]
    hidden: int

    @property
    def why_hidden(self) -> str:
        """What is not seen for them, in words; empty where there are none."""
        if not self.hidden:
            return ""
        return f"{plural(self.hidden, 'process does', 'processes do')} not show their network namespace: run as root"


def own() -> Namespace:
    """This thread's. Raises OSError where /proc is missing."""
    return Namespace(inode=os.stat(_OWN).st_ino, path=_OWN)


def find(name: str) -> Namespace:
    """The namespace of a process, by its PID, one that `ip netns` named, or that of a container or pod.

    Raises UsageError where there is none, MachineError where it may not be seen.
    """
    by_pid = name.isascii() and name.isdigit()
    if not by_pid and not os.path.lexists(f"{_NAMED}/{name}") and (contained := _of_container(name)) is not None:
        return contained
    if not name or "/" in name or name in (".", ".."):
        raise UsageError(f"`netns` {name!r} is neither a PID nor a name; `ip netns` lists the names")
    path = f"/proc/{int(name)}/ns/net" if by_pid and len(name) < 10 else f"{_NAMED}/{name}"
    try:
        return Namespace(inode=os.stat(path).st_ino, path=path, name=name)
    except FileNotFoundError:
        hint = (
            "is there such a process?"
            if by_pid
            else "`ip netns` lists the names; a container has its own, its id, or a PID"
        )
        raise UsageError(f"`netns` {name}: there is no {path}: {hint}") from None
    except OSError as error:
        raise MachineError(f"network namespace {name} may not be seen ({error.strerror}): run as root") from error


def find_all() -> Namespaces:
    """The own namespace, those below /run/netns, those that runtimes keep, and those of processes; each once."""
    first = own()
    by_inode = {first.inode: first}
    hidden = 0
    kind = os.stat(_OWN).st_dev
    taken: set[str] = set()
    for path, name in (*_named(), *_of_processes(), *_bound()):
        try:
            seen = os.stat(path)
        except PermissionError:
            hidden += 1
            continue
        except OSError:
            continue
        if seen.st_dev == kind and seen.st_ino not in by_inode:
            called = _called(name)
            # Of two containers of one name the second is called by its PID.
            by_inode[seen.st_ino] = Namespace(inode=seen.st_ino, path=path, name=name if called in taken else called)
            taken.add(called)
    return Namespaces(namespaces=list(by_inode.values()), hidden=hidden)


def _called(name: str) -> str:
    """What people call the namespace of a process; a name that is no PID stays."""
    service = service_of(int(name)) if name.isdigit() else None
    if service is None:
        return name
    container = service.container or (service.container_id or "")[:12]
    return service.pod or service.pod_uid or container or name


def _of_container(name: str) -> Namespace | None:
    """The namespace of the first process of a container or pod; None where `name` is neither's."""
    for path, pid in _of_processes():
        service = service_of(int(pid))
        if service is not None and (service.container_id or service.container) and service.is_called(name):
            with contextlib.suppress(OSError):
                return Namespace(inode=os.stat(path).st_ino, path=path, name=name)
    return None


def _named() -> list[tuple[str, str]]:
    try:
        return [(f"{_NAMED}/{name}", name) for name in sorted(os.listdir(_NAMED))]
    except OSError:
        return []


def _of_processes() -> list[tuple[str, str]]:
    pids = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    return [(f"/proc/{pid}/ns/net", str(pid)) for pid in pids]


def _bound() -> list[tuple[str, str]]:
    """Those that a runtime bound to a file of its own (docker: /run/docker/netns), whatever runs in them."""
    try:
        with open("/proc/thread-self/mountinfo", "rb") as file:
            bound = network_namespaces(file.read())
    except (OSError, EstabError):
        return []
    return [(path, os.path.basename(path)) for _inode, path in bound]


def inside(namespace: Namespace, work: Callable[[], T]) -> T:
    """What `work()` returns, called in a thread that is in `namespace`; what it raises is raised here.

    Raises MachineError where this process may not enter.
    """
    if namespace.name is None:
        return work()
    returned: list[T] = []
    raised: list[BaseException] = []

    def thread() -> None:
        try:
            _enter(namespace)
            returned.append(work())
        except BaseException as error:
            raised.append(error)

    runner = threading.Thread(target=thread, name=f"netns {namespace.name}")
    runner.start()
    runner.join()
    if raised:
        raise raised[0]
    return returned[0]


def _enter(namespace: Namespace) -> None:
    """Move this thread. Python has os.setns from 3.12 on; before, libc's is called."""
    try:
        file = os.open(namespace.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise MachineError(f"network namespace {namespace.name} is gone: its process has ended") from error
        raise MachineError(f"can't open network namespace {namespace.name}: {error.strerror}: run as root") from error
    try:
        if ctypes.CDLL(None, use_errno=True).setns(file, _CLONE_NEWNET) != 0:
            why = os.strerror(ctypes.get_errno())
            raise MachineError(f"may not enter network namespace {namespace.name} ({why}): run as root")
    finally:
        os.close(file)
