"""Other network namespaces: finding them, and looking into one from a thread that ends there.

This process's own threads never leave their namespace: `inside` enters with a thread of its own (setns(2) changes the
calling thread alone), which dies with the work. What that thread opens stays in the namespace it was opened in.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from typing import TypeVar

from estab.errors import MachineError, UsageError
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
    """The namespace of a process, by its PID, or one that `ip netns` named.

    Raises UsageError where there is none, MachineError where it may not be seen.
    """
    by_pid = name.isascii() and name.isdigit()
    if not name or "/" in name or name in (".", ".."):
        raise UsageError(f"`netns` {name!r} is neither a PID nor a name; `ip netns` lists the names")
    path = f"/proc/{int(name)}/ns/net" if by_pid and len(name) < 10 else f"{_NAMED}/{name}"
    try:
        return Namespace(inode=os.stat(path).st_ino, path=path, name=name)
    except FileNotFoundError:
        hint = "is there such a process?" if by_pid else "`ip netns` lists the names; a container is named by a PID"
        raise UsageError(f"`netns` {name}: there is no {path}: {hint}") from None
    except OSError as error:
        raise MachineError(f"network namespace {name} may not be seen ({error.strerror}): run as root") from error


def find_all() -> Namespaces:
    """The own namespace, those below /run/netns, and those of processes; each once."""
    first = own()
    by_inode = {first.inode: first}
    hidden = 0
    kind = os.stat(_OWN).st_dev
    for path, name in (*_named(), *_of_processes()):
        try:
            seen = os.stat(path)
        except PermissionError:
            hidden += 1
            continue
        except OSError:
            continue
        if seen.st_dev == kind:
            by_inode.setdefault(seen.st_ino, Namespace(inode=seen.st_ino, path=path, name=name))
    return Namespaces(namespaces=list(by_inode.values()), hidden=hidden)


def _named() -> list[tuple[str, str]]:
    try:
        return [(f"{_NAMED}/{name}", name) for name in sorted(os.listdir(_NAMED))]
    except OSError:
        return []


def _of_processes() -> list[tuple[str, str]]:
    pids = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    return [(f"/proc/{pid}/ns/net", str(pid)) for pid in pids]


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
        raise MachineError(f"can't open network namespace {namespace.name}: {error.strerror}: run as root") from error
    try:
        if ctypes.CDLL(None, use_errno=True).setns(file, _CLONE_NEWNET) != 0:
            why = os.strerror(ctypes.get_errno())
            raise MachineError(f"may not enter network namespace {namespace.name} ({why}): run as root")
    finally:
        os.close(file)
