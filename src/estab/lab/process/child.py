"""Forked children that do a piece of work in a namespace and tell the parent of it over a pipe.

A child ends with its parent, whatever ends that (PR_SET_PDEATHSIG). The parent has one thread, so a fork is safe here:
the lab runs in a process of its own (`estab.lab.run.worker`).
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - what getaddrinfo() imports: once, and not in each child
import gc
import os
import signal
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from types import TracebackType
from typing import Any, Generic, NoReturn, Self, TypeVar

from estab import shortage
from estab.errors import EstabError, MachineError
from estab.lab.process import linux
from estab.lab.process.namespace import LabNamespace

T = TypeVar("T")
Tell = Callable[[Any], None]


class Child(Generic[T]):
    """A child at work. `work(connection)` returns what `result()` gives; on the way both sides may send over it."""

    def __init__(self, work: Callable[[Connection], T], namespace: LabNamespace | None = None) -> None:
        ours, theirs = Pipe()
        parent = os.getpid()
        self.pid: int | None = os.fork()
        if self.pid == 0:
            linux.die_with_parent(parent)
            gc.freeze()  # to look through what the parent made would copy all of its pages
            ours.close()
            _live(work, theirs, namespace)
        theirs.close()
        self.connection = ours
        self._outcome: tuple[str, Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.kill()

    def send(self, message: object) -> None:
        """Says something to the child."""
        self.connection.send(message)

    def receive(self, within_s: float = 30) -> Any:
        """What the child says next, or raises what it raised. Raises MachineError where it says nothing."""
        if self._outcome is None:
            if not self.connection.poll(within_s):
                raise MachineError(f"a process of the lab said nothing for {within_s:g} s")
            try:
                kind, value = self.connection.recv()
            except EOFError:
                kind, value = "died", None
            if kind == "said":
                return value
            self._outcome = (kind, value)
        kind, value = self._outcome
        if kind == "raised":
            raise value
        if kind == "died":
            raise MachineError("a process of the lab died without a word")
        return None

    def wait_for(self, wanted: Callable[[Any], bool], within_s: float = 30) -> Any:
        """Reads what the child says until `wanted` holds of it, or it has returned; that message, or None."""
        deadline = time.monotonic() + within_s
        while (said := self.receive(max(0.0, deadline - time.monotonic()))) is not None:
            if wanted(said):
                return said
        return None

    def result(self, within_s: float = 60) -> T:
        """What the work returned; raises what it raised. The child is gone then."""
        self.wait_for(lambda _said: False, within_s)
        assert self._outcome is not None
        value: T = self._outcome[1]
        self.kill()
        return value

    def kill(self) -> None:
        """Ends it if it still runs. May be called twice."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = None
            self.connection.close()


def _live(work: Callable[[Connection], T], connection: Connection, namespace: LabNamespace | None) -> NoReturn:
    """The child's whole life. It leaves without the parent's exit handlers."""
    try:
        if namespace is not None:
            namespace.enter()
        outcome: tuple[str, Any] = ("returned", work(connection))
    except EstabError as error:
        outcome = ("raised", error)
    except BaseException as error:
        lacking = shortage.explain(error)
        said = MachineError(lacking) if lacking else RuntimeError(f"in a process of the lab: {traceback.format_exc()}")
        outcome = ("raised", said)
    try:
        connection.send(outcome)
    finally:
        os._exit(0)


def say(connection: Connection, message: object) -> None:
    """From within a child: a message to the parent that is not the result."""
    connection.send(("said", message))
