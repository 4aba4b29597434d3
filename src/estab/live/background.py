"""Work that may take long, done beside the looks and seldom enough to keep to its share of one core."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from estab.observe.pace import Pace

T = TypeVar("T")

SHARE = 0.01
EVERY_S = 2.0
WAIT_S = 0.3


def seldom(share: float = SHARE) -> Pace:
    """The pace of what goes through all sockets, or through all processes; `share` of a core is what it may take."""
    return Pace(share, EVERY_S)


class BackgroundWork(Generic[T]):
    """Does `work` in a thread of its own, in the network namespace of the thread that asks (clone(2)).

    Where it takes longer than WAIT_S, as with a million sockets, the looks go on and its result comes to a later
    one. What `work` raises is raised there.
    """

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self._thread: threading.Thread | None = None
        self._result: T | None = None
        self._error: BaseException | None = None

    def result(self, work: Callable[[], T], *, now: bool = False, wait_s: float = WAIT_S) -> T | None:
        """A result that nobody had yet; None where none is ready. Starts the work where it is due, or `now`.

        `wait_s`: how long this may take.
        """
        if self._thread is None and (now or self.pace.due):
            self._thread = threading.Thread(target=self._run, args=(work,), name="count", daemon=True)
            self._thread.start()
        if self._thread is None:
            return None
        self._thread.join(wait_s)
        if self._thread.is_alive():
            return None
        result, error = self._result, self._error
        self._thread = self._result = self._error = None
        if error is not None:
            raise error
        return result

    def _run(self, work: Callable[[], T]) -> None:
        try:
            self._result = self.pace.spend(work)
        except BaseException as error:  # it is for who asked, not for this thread to tell
            self._error = error
