"""How the processes that own a listener fared: CPU, waiting for a core, cgroup, states. No verdict.

A thread can use one core at most: a server that accepts in one thread is at its limit when that thread runs all the
time, however many cores are idle. One that could have run and did not get a core has waited (`schedstat`); one that its
cgroup stopped was throttled; one in state T runs no more at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from estab.records import LISTED_THREADS, CgroupCpu, Listener, OwnerSample, Process, RunResult, Snapshot, Tasks, Thread

NS_PER_S = 1_000_000_000
STOPPED = ("T", "t")
WAITED = 0.3  # of the time for a core: it had to run, and others did
MOST_PERIODS = 0.5  # of a quota, used up early
NO_TIME_LEFT = 0.9  # of the busiest thread's time, taken
SURE_S = 0.5  # in all, at least: less may have been one hiccup of a busy machine


@dataclass(frozen=True)
class Throttling:
    """What a cgroup did to its processes in between: `stopped` of `periods` periods, for `stopped_s` seconds in all."""

    path: str
    cores: float | None
    periods: int
    stopped: int
    stopped_s: float

    @property
    def mostly(self) -> bool:
        """Whether the quota was used up in most periods, so that no more could be had, whoever else had the cores."""
        return self.stopped >= MOST_PERIODS * self.periods


@dataclass(frozen=True)
class Owner:
    """A process between two moments, `span_s` seconds apart; None: not read at both.

    `who`: `gunicorn (pid 4711)`. `ran` is in cores, all threads together. Of the thread that ran most: `busiest_ran`,
    the part of the time in which it ran (1: all of one core), and `busiest_waited`, in which it could have run and got
    no core.
    `slept`: no thread of it ran at all, so that it accepted nothing. `states` counts its threads at the end by the
    letter of their state. `tasks`: against its limits, when most were seen; `refused`: how many its cgroup was refused.
    """

    pid: int
    name: str | None
    who: str
    span_s: float
    ran: float | None = None
    busiest_ran: float | None = None
    busiest_waited: float | None = None
    slept: bool | None = None
    throttling: Throttling | None = None
    states: dict[str, int] | None = None
    fds: int | None = None
    nofile: int | None = None
    tasks: Tasks | None = None
    refused: int | None = None

    @property
    def taken(self) -> float | None:
        """The part of the time in which its busiest thread ran, or waited for a core: at 1 it has none left."""
        return None if self.busiest_ran is None else min(1.0, self.busiest_ran + (self.busiest_waited or 0.0))

    @property
    def out_of_time(self) -> bool:
        """Whether it needs more than its quota all the time, so that what comes is done later and later."""
        return self.throttling is not None and self.throttling.mostly and (self.taken or 0.0) >= NO_TIME_LEFT

    @property
    def stopped(self) -> bool:
        """Whether no thread of it can run until somebody lets it."""
        return bool(self.states) and all(state in STOPPED for state in self.states or ())


def fared(before: Process | None, after: Process, span_s: float) -> Owner:
    """A process set against itself earlier. `before` None, or of another process that had its pid: only what is now."""
    owner = Owner(
        pid=after.pid,
        name=after.name,
        who=after.words,
        span_s=span_s,
        states=after.thread_states,
        fds=after.fds,
        nofile=after.nofile_soft,
        tasks=after.tasks,
    )
    if before is None or before.pid != after.pid or before.started_ticks != after.started_ticks or span_s <= 0:
        return owner
    ran = None if before.cpu_s is None or after.cpu_s is None else max(0.0, after.cpu_s - before.cpu_s) / span_s
    busiest = _busiest(before.threads, after.threads)
    return replace(
        owner,
        ran=ran,
        busiest_ran=None if busiest is None else _share(busiest[0], span_s),
        busiest_waited=None if busiest is None else _share(busiest[1], span_s),
        slept=_slept(before.threads, after.threads),
        throttling=_throttling(before.cgroup_cpu, after.cgroup_cpu),
        refused=_refused(before.tasks, after.tasks),
    )


def _busiest(before: list[Thread] | None, after: list[Thread] | None) -> tuple[int, int] | None:
    """Of the thread that ran most in between: how long it ran, and waited, in ns. A new one began at 0.

    Records list the threads that ran longest. One that was not listed before had run no longer than the last that was.
    """
    if before is None or not after:
        return None
    then = {thread.tid: thread for thread in before}
    most_unlisted_ns = min(thread.ran_ns for thread in before) if len(before) >= LISTED_THREADS else 0
    unlisted = Thread(tid=0, state="", ran_ns=most_unlisted_ns, waited_ns=0)
    since = ((thread, then.get(thread.tid, unlisted)) for thread in after)
    return max((now.ran_ns - early.ran_ns, now.waited_ns - early.waited_ns) for now, early in since)


def _slept(before: list[Thread] | None, after: list[Thread] | None) -> bool | None:
    """Whether no thread ran in between. None: not all are listed, or this kernel does not count how long they ran."""
    if before is None or not after or len(after) >= LISTED_THREADS or not any(thread.ran_ns for thread in after):
        return None
    return {thread.tid: thread.ran_ns for thread in before} == {thread.tid: thread.ran_ns for thread in after}


def _share(spent_ns: int, span_s: float) -> float:
    return min(1.0, max(0.0, spent_ns / NS_PER_S / span_s))


def _throttling(before: CgroupCpu | None, after: CgroupCpu | None) -> Throttling | None:
    if before is None or after is None or before.path != after.path:
        return None
    pairs = ((before.periods, after.periods), (before.throttled, after.throttled))
    periods, stopped = (max(0, (now or 0) - (then or 0)) for then, now in pairs)
    stopped_us = max(0, (after.throttled_us or 0) - (before.throttled_us or 0))
    return Throttling(after.path, after.cores, periods, stopped, stopped_us / 1e6)


def _refused(before: Tasks | None, after: Tasks | None) -> int | None:
    if before is None or after is None or before.cgroup is None or before.cgroup != after.cgroup:
        return None
    return max(0, (after.refused or 0) - (before.refused or 0))


# Of a run, of snapshots --------------------------------------------------------------------------------------------


def of_run(run: RunResult) -> list[Owner]:
    """The processes that own the target's listeners, over the run; empty where they were not seen."""
    before, after = run.server.before, run.server.after
    if not run.server.observed or after is None:
        return []
    # Where they end with the run, `processes` has what was last seen of them.
    now = {process.pid: process for process in (*_owners(after, None), *(run.server.processes or ()))}
    then = {process.pid: process for process in _owners(before, None)}
    span_s = after.taken_at_s - before.taken_at_s if before is not None else 0.0
    wanted = {process.pid for process in run.server.processes or ()}
    return [fared(then.get(pid), process, span_s) for pid, process in now.items() if pid in wanted]


def of_snapshots(before: Snapshot | None, after: Snapshot, port: int | None = None) -> list[Owner]:
    """The processes that own listeners (on `port`) in `after`, set against `before` where it has them too."""
    span_s = after.taken_at_s - before.taken_at_s if before is not None else 0.0
    return _all_fared(_owners(before, port), _owners(after, port), span_s)


def of_listener(then: Listener | None, now: Listener, span_s: float) -> list[Owner]:
    """The processes that own one listening socket, seen at two moments."""
    return _all_fared((then.owners if then is not None else None) or (), now.owners or (), span_s)


def _all_fared(before: Iterable[Process], after: Iterable[Process], span_s: float) -> list[Owner]:
    then = {process.pid: process for process in before}
    now = {process.pid: process for process in after}
    return [fared(then.get(pid), process, span_s) for pid, process in now.items()]


def _owners(snapshot: Snapshot | None, port: int | None) -> Iterable[Process]:
    listeners = snapshot.all_listeners if snapshot is not None else ()
    return (owner for at in listeners if port in (None, at.port) for owner in at.owners or ())


def gone(run: RunResult) -> list[Process]:
    """The processes that owned the target's listeners before the run and own none of them after it.

    Empty where that was not seen at both times.
    """
    watch, after = run.server.listener, run.server.after
    if not run.server.observed or watch is None or after is None or after.listeners is None:
        return []
    if any(at.owners is None for at in after.listeners if at.port == watch.port):
        return []
    now = {owner.pid for owner in _owners(after, watch.port)}
    then = {owner.pid: owner for owner in _owners(run.server.before, watch.port)}
    return [owner for pid, owner in then.items() if pid not in now]


# Along a run -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnerLooks:
    """What the looks at one process showed, about two a second: `stopped` of `looks` found all of its threads stopped.

    `most_ran` and `most_waited`: the greatest shares of one core in which its busiest thread ran, and waited for a
    core, between two looks.
    """

    pid: int
    looks: int
    stopped: int
    most_ran: float | None
    most_waited: float | None


def along(run: RunResult) -> list[OwnerLooks]:
    """Each owner of the target's listeners through the run's timeline."""
    samples = [sample for point in run.timeline for sample in point.owners or ()]
    pids = dict.fromkeys(sample.pid for sample in samples)
    return [_looks(pid, [sample for sample in samples if sample.pid == pid]) for pid in pids]


def taken_while_waiting(run: RunResult, owner: Owner) -> float | None:
    """`Owner.taken` by the looks that found the queue not empty, else over all that the load took. None: not seen."""
    shares = [
        sample.ran_share + (sample.waited_share or 0.0)
        for point in run.timeline
        if point.queue_depth
        for sample in point.owners or ()
        if sample.pid == owner.pid and sample.ran_share is not None
    ]
    if shares:
        return sum(shares) / len(shares)
    if owner.taken is None or not run.elapsed_s > 0:
        return owner.taken
    # Its snapshots may have been taken well before and after the load.
    return min(1.0, owner.taken * max(1.0, owner.span_s / run.elapsed_s))


def _looks(pid: int, samples: list[OwnerSample]) -> OwnerLooks:
    return OwnerLooks(
        pid=pid,
        looks=len(samples),
        stopped=sum(set(sample.states) <= set(STOPPED) for sample in samples),
        most_ran=max((sample.ran_share for sample in samples if sample.ran_share is not None), default=None),
        most_waited=max((sample.waited_share for sample in samples if sample.waited_share is not None), default=None),
    )
