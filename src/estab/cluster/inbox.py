"""A task's inbox on its worker: commands that reach it while it runs, and what ends it when nobody wants it any more.

Dask stops no task that runs: a cancelled one goes on, also when its command or its scheduler is gone. So each has a
watchdog, a thread that looks a few times a second whether the task is still wanted, and stops it where it is not.
"""

from __future__ import annotations

import contextlib
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from estab.cluster.messages import TOPIC, Command, Order, TaskEvent
from estab.load.conductor import Stop

if TYPE_CHECKING:
    from distributed import Worker

LOOK_EVERY_S = 0.2
HERE_EVERY_S = 2.0
_UNWANTED = ("cancelled", "released", "forgotten")

_inboxes: dict[tuple[str, str], Inbox] = {}  # by run and worker: several workers may live in one process


def deliver(payload: bytes) -> bytes:
    """Called by Dask in a worker's event loop: gives a command to the tasks of its run in this process."""
    command = msgspec.json.decode(payload, type=Command)
    for (run, _who), inbox in list(_inboxes.items()):
        if run == command.run:
            inbox.receive(command)
    return b""


class Inbox:
    """What reaches a task, and what it reports. A context manager, to be entered in the thread of the task."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.stop = Stop()
        self._received: dict[str, Command] = {}
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._worker: Worker
        self._key: Any = None
        self._watchdog = threading.Thread(target=self._watch, name="estab-watchdog", daemon=True)

    def __enter__(self) -> Self:
        from distributed import get_worker

        self._worker = get_worker()
        self._key = self._worker.get_current_task()
        _inboxes[self.order.run, self.order.who] = self
        self._watchdog.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _inboxes.pop((self.order.run, self.order.who), None)
        self._over.set()
        self._watchdog.join()
        with self._changed:
            self.stop.__exit__(kind, error, tb)

    def report(self, what: Any, **more: Any) -> None:
        """Sends an event to the coordinator, if it can be sent at all."""
        event = TaskEvent(run=self.order.run, who=self.order.who, what=what, **more)
        with contextlib.suppress(Exception):  # the worker closes: its watchdog stops the task
            self._worker.log_event(TOPIC, msgspec.to_builtins(event))

    def receive(self, command: Command) -> None:
        """A command has come, in the worker's event loop."""
        with self._changed:
            if self._over.is_set():
                return
            self._received[command.what] = command
            if command.what == "stop":
                self.stop.set()
            self._changed.notify_all()

    def has(self, what: str) -> bool:
        """Whether that command has come."""
        return what in self._received

    def wait(self, *what: str, within_s: float | None = None) -> Command | None:
        """The first of these commands that has come; None after `within_s`, or when it is to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self.stop.is_set or any(name in self._received for name in what), within_s)
            return next((self._received[name] for name in what if name in self._received), None)

    def take(self, what: str) -> bool:
        """Whether that command has come; it is answered once."""
        with self._changed:
            return self._received.pop(what, None) is not None

    def _watch(self) -> None:
        """The watchdog's thread."""
        said_at = 0.0
        while not self._over.wait(LOOK_EVERY_S):
            if not self._wanted():
                self.receive(Command(run=self.order.run, what="stop"))
                return
            if time.monotonic() - said_at >= HERE_EVERY_S:
                said_at = time.monotonic()
                self.report("here")

    def _wanted(self) -> bool:
        """Whether this worker serves a scheduler, and somebody there wants this task."""
        task = self._worker.state.tasks.get(self._key)
        open_for_work = self._worker.status.name in ("running", "paused", "init")
        return open_for_work and task is not None and task.state not in _UNWANTED
