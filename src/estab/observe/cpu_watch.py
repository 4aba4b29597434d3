"""How long the threads of some processes ran, and waited for a core, while they were watched.

Source: /proc/PID/task/TID/schedstat (`proc_pid_schedstat` in fs/proc/base.c). It goes away with its thread: of one that
has ended, what it did after the last look at it is not known.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from estab.kernel.formats.proc_pid import SchedStat
from estab.observe import processes
from estab.records import ProgramCpu, ProgramThread

_NS_PER_S = 1e9


@dataclass
class _Watched:
    """One thread: when it was first seen, what it had done by then (0: it began while others were watched), and now."""

    since_s: float
    before: SchedStat
    now: SchedStat

    @property
    def ran_ns(self) -> int:
        return self.now.ran_ns - self.before.ran_ns

    @property
    def waited_ns(self) -> int:
        return self.now.waited_ns - self.before.waited_ns


_NOTHING = SchedStat(ran_ns=0, waited_ns=0)


class CpuWatch:
    """`see` the processes now and then; `so_far` tells what all of their threads did. For one thread."""

    def __init__(
        self,
        read: Callable[[int], Mapping[int, SchedStat]] = processes.thread_times,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read, self._clock = read, clock
        self._threads: dict[tuple[int, int], _Watched] = {}
        self._ran_ns = self._waited_ns = self._ended = 0  # of those that have ended
        self._busiest: ProgramThread | None = None  # of those that have ended
        self._looked_s: float | None = None

    def see(self, pids: Iterable[int]) -> None:
        """Look at the threads of these processes. Those of the first look have run before; later ones begin at 0."""
        now_s = self._clock()
        alive: dict[tuple[int, int], _Watched] = {}
        for pid in pids:
            for tid, times in self._read(pid).items():
                alive[pid, tid] = self._followed((pid, tid), times, now_s)
        for key in self._threads.keys() - alive.keys():
            self._end(key, now_s)
        self._threads = alive
        if alive:
            self._looked_s = now_s

    def so_far(self) -> ProgramCpu | None:
        """What they did since they were first seen. None: nothing was seen, or this kernel does not count it."""
        running = self._threads.values()
        ran_ns = self._ran_ns + sum(each.ran_ns for each in running)
        if not ran_ns:
            return None
        known = [_told(key, each, self._looked_s or 0.0) for key, each in self._threads.items()]
        if self._busiest is not None:
            known.append(self._busiest)
        return ProgramCpu(
            threads=self._ended + len(self._threads),
            ran_s=_seconds(ran_ns),
            waited_s=_seconds(self._waited_ns + sum(each.waited_ns for each in running)),
            busiest=max(known, key=_had_to_do_s, default=None),
        )

    def _followed(self, key: tuple[int, int], times: SchedStat, now_s: float) -> _Watched:
        known = self._threads.get(key)
        if known is not None and times.ran_ns < known.now.ran_ns:
            self._end(key, now_s)  # another thread that was given its number
            known = None
        if known is None:
            return _Watched(now_s, times if self._looked_s is None else _NOTHING, times)
        known.now = times
        return known

    def _end(self, key: tuple[int, int], now_s: float) -> None:
        over = self._threads.pop(key)
        self._ended += 1
        self._ran_ns += over.ran_ns
        self._waited_ns += over.waited_ns
        told = _told(key, over, now_s)
        if self._busiest is None or _had_to_do_s(told) > _had_to_do_s(self._busiest):
            self._busiest = told


def _told(key: tuple[int, int], of: _Watched, now_s: float) -> ProgramThread:
    """`seen_s` is no less than what it ran and waited: it may have begun a little before it was seen."""
    ran_s, waited_s = _seconds(of.ran_ns), _seconds(of.waited_ns)
    seen_s = round(max(now_s - of.since_s, ran_s + waited_s), 3)
    return ProgramThread(pid=key[0], tid=key[1], ran_s=ran_s, waited_s=waited_s, seen_s=seen_s)


def _had_to_do_s(thread: ProgramThread) -> float:
    return thread.ran_s + thread.waited_s


def _seconds(spent_ns: int) -> float:
    return round(max(0, spent_ns) / _NS_PER_S, 3)
