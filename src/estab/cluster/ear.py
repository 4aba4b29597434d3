"""A task's ear on its worker: the words that reach it while it runs, and what ends it when nobody wants it any more.

Dask stops no task that runs: a cancelled one goes on, also when its command or its scheduler is gone. So each has a
leash, a thread that looks a few times a second whether the task is still wanted, and stops it where it is not.
"""

from __future__ import annotations

import contextlib
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from estab.cluster.messages import TOPIC, Order, Told, Word
from estab.load.conductor import Stop

if TYPE_CHECKING:
    from distributed import Worker

LOOK_EVERY_S = 0.2
HERE_EVERY_S = 2.0
_UNWANTED = ("cancelled", "released", "forgotten")

_listening: dict[tuple[str, str], Ear] = {}  # by run and worker: several workers may live in one process


def tell(payload: bytes) -> bytes:
    """Called by Dask in a worker's event loop: gives a word to the tasks of its run in this process."""
    word = msgspec.json.decode(payload, type=Word)
    for (run, _who), ear in list(_listening.items()):
        if run == word.run:
            ear.hear(word)
    return b""


class Ear:
    """What a task hears and says. A context manager; to be entered in the thread that Dask runs the task in."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.stop = Stop()
        self._heard: dict[str, Word] = {}
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._worker: Worker
        self._key: Any = None
        self._leash = threading.Thread(target=self._watch, name="estab-leash", daemon=True)

    def __enter__(self) -> Self:
        from distributed import get_worker

        self._worker = get_worker()
        self._key = self._worker.get_current_task()
        _listening[self.order.run, self.order.who] = self
        self._leash.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _listening.pop((self.order.run, self.order.who), None)
        self._over.set()
        self._leash.join()
        with self._changed:
            self.stop.__exit__(kind, error, tb)

    def say(self, what: Any, **more: Any) -> None:
        """Tells the command something, if it can be told at all."""
        told = Told(run=self.order.run, who=self.order.who, what=what, **more)
        with contextlib.suppress(Exception):  # the worker closes: its leash stops the task
            self._worker.log_event(TOPIC, msgspec.to_builtins(told))

    def hear(self, word: Word) -> None:
        """A word has come, in the worker's event loop."""
        with self._changed:
            if self._over.is_set():
                return
            self._heard[word.what] = word
            if word.what == "stop":
                self.stop.set()
            self._changed.notify_all()

    def has_heard(self, what: str) -> bool:
        """Whether that word has come."""
        return what in self._heard

    def wait(self, *what: str, within_s: float | None = None) -> Word | None:
        """The first of these words that has come; None after `within_s`, or when it is to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self.stop.is_set or any(one in self._heard for one in what), within_s)
            return next((self._heard[one] for one in what if one in self._heard), None)

    def take(self, what: str) -> bool:
        """Whether that word has come; it is answered to once."""
        with self._changed:
            return self._heard.pop(what, None) is not None

    def _watch(self) -> None:
        """The leash's thread."""
        said_at = 0.0
        while not self._over.wait(LOOK_EVERY_S):
            if not self._wanted():
                self.hear(Word(run=self.order.run, what="stop"))
                return
            if time.monotonic() - said_at >= HERE_EVERY_S:
                said_at = time.monotonic()
                self.say("here")

    def _wanted(self) -> bool:
        """Whether this worker serves a scheduler, and somebody there wants this task."""
        task = self._worker.state.tasks.get(self._key)
        open_for_work = self._worker.status.name in ("running", "paused", "init")
        return open_for_work and task is not None and task.state not in _UNWANTED
