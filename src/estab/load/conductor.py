"""The run itself, seen from the parent: wait, look ten times a second, let hold's connections go, end on request."""

from __future__ import annotations

import math
import os
import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from estab.load.block import READY, SETTLED
from estab.load.fleet import Fleet

TICK_S = 0.1
SETTLED_LOOK_S = 0.005


class Stop:
    """A request to stop, safe to make from a signal handler or another thread. A context manager: it holds a pipe."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self.is_set = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        """Readable once the stop was asked for."""
        return self._read

    def set(self) -> None:
        """Asks for the stop."""
        if not self.is_set:
            self.is_set = True
            os.write(self._write, b"s")


class _Waiter:
    """Waits for the next tick, the end of a worker, or a stop; whichever comes first."""

    def __init__(self, fleet: Fleet, stop: Stop | None) -> None:
        self._poll = select.poll()
        self._pidfds: list[int] = []
        if stop is not None:
            self._poll.register(stop.fileno(), select.POLLIN)
        for pid in fleet.pids():
            try:
                fd = os.pidfd_open(pid)
            except OSError:  # Linux before 5.3, or already gone: the tick will notice
                continue
            self._pidfds.append(fd)
            self._poll.register(fd, select.POLLIN)

    def wait(self, seconds: float) -> None:
        for fd, _event in self._poll.poll(max(0.0, seconds) * 1000):
            if fd in self._pidfds:  # its end is told once
                self._poll.unregister(fd)

    def close(self) -> None:
        for fd in self._pidfds:
            os.close(fd)


@dataclass(frozen=True)
class Barrier:
    """What a load that is one of several, on as many hosts, waits for.

    `ready` is called once all workers are; it gives the start as Unix time by this host's clock, None for at once.
    `may_hold`: asked again and again once every connect here is settled; the time of holding counts from when it says
    so.
    """

    ready: Callable[[], float | None] = lambda: None
    may_hold: Callable[[], bool] = lambda: True


SOLO = Barrier()


@dataclass(frozen=True)
class Callbacks:
    """Who is told: `tick` ten times a second and once at the end, `settled` once every connect has been settled, and
    then `tick` at once where connections are only held; `closing` before those are closed.

    `barrier`: where the start and the time of holding are agreed, if loads on several hosts are one.
    """

    tick: Callable[[], None] = lambda: None
    settled: Callable[[], None] = lambda: None
    closing: Callable[[], None] = lambda: None
    barrier: Barrier = SOLO


NO_CALLBACKS = Callbacks()


def conduct(
    clients: Fleet, callbacks: Callbacks = NO_CALLBACKS, *, hold_s: float | None = None, stop: Stop | None = None
) -> bool:
    """Starts the clients and stays until they are done. True when it was interrupted.

    `hold_s`: so long after every connect was settled, the connections are closed in order. KeyboardInterrupt is a stop
    too.
    """
    clients.wait_until(READY)
    start_at_s = callbacks.barrier.ready()
    if callbacks.barrier is not SOLO and stop is not None and stop.is_set:  # nothing has begun, and nothing is to
        clients.stop()
        return True
    clients.go(start_at_s)
    waiter = _Waiter(clients, stop)
    try:
        _watch(clients, waiter, callbacks, hold_s, stop)
    except KeyboardInterrupt:
        return True
    finally:
        waiter.close()
        clients.stop()
    return stop is not None and stop.is_set


def _look_again(hold_s: float | None, held_from: float | None) -> float:
    """When to look whether all is settled: between ticks too where the closing is to come so long after it."""
    return math.inf if hold_s is None or held_from is not None else time.monotonic() + SETTLED_LOOK_S


def _watch(clients: Fleet, waiter: _Waiter, callbacks: Callbacks, hold_s: float | None, stop: Stop | None) -> None:
    next_tick = time.monotonic()
    settled_at: float | None = None
    held_from: float | None = None
    closing = False
    while alive := clients.alive():
        now = time.monotonic()
        if now >= next_tick:
            callbacks.tick()
            next_tick = max(next_tick + TICK_S, time.monotonic())
        if settled_at is None and all(worker.block.get("state") >= SETTLED for worker in alive):
            settled_at = time.monotonic()
            callbacks.settled()
            if hold_s is not None:
                callbacks.tick()  # seen once at the least with all open, however late a busy machine lets us come
        if settled_at is not None and held_from is None and callbacks.barrier.may_hold():
            held_from = settled_at if callbacks.barrier is SOLO else time.monotonic()
        close_at = None if hold_s is None or held_from is None or closing else held_from + hold_s
        if close_at is not None and time.monotonic() >= close_at:
            callbacks.closing()
            clients.close()
            closing, close_at = True, None
        waiter.wait(min(next_tick, close_at or next_tick, _look_again(hold_s, held_from)) - time.monotonic())
        if stop is not None and stop.is_set:
            break
    callbacks.tick()
