"""Two looks at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def both(here: Callable[[], A], there: Callable[[], B]) -> tuple[A, B]:
    """What the two return; `there` in a second thread, one after the other where no thread is to be had.

    The new thread is in the network namespace of this one (clone(2)). What either raises is raised when both are over.
    """
    returned: list[B] = []
    raised: list[BaseException] = []

    def look() -> None:
        try:
            returned.append(there())
        except BaseException as error:
            raised.append(error)

    second = threading.Thread(target=look)
    try:
        second.start()
    except RuntimeError:  # at a limit: it takes twice as long
        return here(), there()
    try:
        seen = here()
    finally:
        second.join()
    if raised:
        raise raised[0]
    return seen, returned[0]
