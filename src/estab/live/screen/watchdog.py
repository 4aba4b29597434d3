"""Ends a live view with its terminal, and by a signal, where textual alone would go on.

Of a terminal that hung up textual reads the end, again and again, and its output waits for ever for one that nobody
reads. So a thread of our own waits for both, and ends the process where the application does not.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from typing import Any

from estab.load.conductor import Stop

GRACE_S = 1.0  # so long the application, and then what is left to be done, may take
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def watchdog(leave: Callable[[], object], finish: Callable[[], object], code: int) -> Iterator[None]:
    """While the block lasts, SIGINT, SIGTERM and SIGHUP call `leave`, in a thread, to ask the application to end.

    The process ends with `code` where the application does not within GRACE_S, and where the terminal on standard input
    is gone; `finish` is called then, and has GRACE_S too. A SIGHUP that is ignored (nohup) stays ignored.
    """
    before = {number: handler for number in _SIGNALS if (handler := signal.getsignal(number)) != signal.SIG_IGN}
    with Stop() as asked, Stop() as over:
        thread = threading.Thread(target=_wait, args=(asked, over, leave, finish, code), name="watchdog", daemon=True)
        for number in before:
            signal.signal(number, lambda _number, _frame: asked.set())
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            for number, handler in before.items():
                signal.signal(number, handler)


def _wait(asked: Stop, over: Stop, leave: Callable[[], object], finish: Callable[[], object], code: int) -> None:
    terminal = sys.stdin.fileno()
    settings = _settings(terminal)
    events = select.poll()
    events.register(terminal, 0)  # poll(2): that it hung up is told unasked
    events.register(asked, select.POLLIN)
    events.register(over, select.POLLIN)
    ready = [fd for fd, _event in events.poll()]
    if terminal not in ready and not over.is_set:
        with contextlib.suppress(Exception):  # it may not have begun: then it is ended below
            leave()
        events.unregister(asked)
        events.poll(GRACE_S * 1000)
    if over.is_set:
        return
    last = threading.Thread(target=finish, daemon=True)
    last.start()
    last.join(GRACE_S)
    if settings is not None:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSANOW, settings)
    os._exit(code)


def _settings(terminal: int) -> list[Any] | None:
    with contextlib.suppress(termios.error):
        return termios.tcgetattr(terminal)
    return None
