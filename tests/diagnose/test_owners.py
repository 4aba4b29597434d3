"""How the processes that own a listener fared, between two moments and along a run."""

from __future__ import annotations

import pytest
from tests.diagnose import runs

from estab.diagnose import owners
from estab.diagnose.owners import Throttling, fared
from estab.records import LISTED_THREADS, CgroupCpu, Listener, OwnerSample, Process, Thread

S = 1_000_000_000


def thread(tid: int, ran_s: float, waited_s: float = 0.0, state: str = "S") -> Thread:
    return Thread(tid=tid, state=state, ran_ns=int(ran_s * S), waited_ns=int(waited_s * S))


def process(*threads: Thread, cpu_s: float = 0.0, **fields: object) -> Process:
    states: dict[str, int] = {}
    for one in threads:
        states[one.state] = states.get(one.state, 0) + 1
    seen = Process(
        pid=7, name="node", started_ticks=11, cpu_s=cpu_s, threads=list(threads) or None, thread_states=states or None
    )
    return seen.replace(**fields)


def test_one_thread_at_the_limit_of_its_core() -> None:
    before = process(thread(7, 10.0), thread(8, 3.0), cpu_s=13.0)
    after = process(thread(7, 14.9), thread(8, 3.1), cpu_s=18.0)
    owner = fared(before, after, 5.0)
    assert (owner.ran, owner.busiest_ran, owner.busiest_waited) == (1.0, pytest.approx(0.98), 0.0)
    assert not owner.stopped


def test_a_thread_that_waits_for_a_core() -> None:
    owner = fared(process(thread(7, 1.0, 2.0)), process(thread(7, 2.0, 6.0, "R")), 5.0)
    assert (owner.busiest_ran, owner.busiest_waited) == (pytest.approx(0.2), pytest.approx(0.8))


@pytest.mark.parametrize(
    ("before", "after", "slept"),
    [
        ([thread(7, 1.0), thread(8, 0.0)], [thread(8, 0.0), thread(7, 1.0)], True),
        ([thread(7, 1.0)], [thread(7, 1.000001)], False),
        ([thread(7, 1.0)], [thread(7, 1.0), thread(9, 0.0)], False),  # it began, so something ran
        ([thread(7, 0.0)], [thread(7, 0.0)], None),  # a kernel that does not count
        ([thread(tid, 1.0) for tid in range(LISTED_THREADS)],) * 2 + (None,),  # there may be more
    ],
)
def test_a_process_that_did_not_run(before: list[Thread], after: list[Thread], slept: bool | None) -> None:
    assert fared(process(*before), process(*after), 2.0).slept is slept


def test_a_thread_that_began_in_between_and_one_that_was_not_listed() -> None:
    assert fared(process(thread(7, 1.0)), process(thread(7, 1.0), thread(9, 4.0)), 5.0).busiest_ran == 0.8
    many = [thread(tid, 3.0) for tid in range(LISTED_THREADS)]
    assert fared(process(*many), process(thread(99, 4.0)), 5.0).busiest_ran == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("before", "span_s"),
    [
        (None, 5.0),
        (process(thread(7, 1.0), started_ticks=12), 5.0),  # another process that had its pid
        (process(thread(7, 1.0)), 0.0),
    ],
)
def test_what_cannot_be_set_against_anything(before: Process | None, span_s: float) -> None:
    owner = fared(before, process(thread(7, 2.0), fds=9, nofile_soft=10), span_s)
    assert (owner.ran, owner.busiest_ran, owner.throttling) == (None, None, None)
    assert (owner.fds, owner.nofile, owner.states) == (9, 10, {"S": 1})


@pytest.mark.parametrize(
    ("states", "stopped"), [("TT", True), ("tT", True), ("TS", False), ("SS", False), ("", False), ("D", False)]
)
def test_stopped(states: str, stopped: bool) -> None:
    owner = fared(None, process(*(thread(tid, 1.0, state=state) for tid, state in enumerate(states))), 1.0)
    assert owner.stopped is stopped


def test_a_cgroup_that_stops_it() -> None:
    group = CgroupCpu(path="/sys/fs/cgroup/a", cores=0.2, periods=10, throttled=1, throttled_us=5_000)
    later = group.replace(periods=60, throttled=46, throttled_us=4_005_000)
    owner = fared(process(cgroup_cpu=group), process(cgroup_cpu=later), 5.0)
    assert owner.throttling == Throttling("/sys/fs/cgroup/a", 0.2, periods=50, stopped=45, stopped_s=4.0)
    moved = later.replace(path="/sys/fs/cgroup/b")
    assert fared(process(cgroup_cpu=group), process(cgroup_cpu=moved), 5.0).throttling is None


def test_of_two_snapshots() -> None:
    def listening(owner: Process) -> list[Listener]:
        return [Listener(family=4, address="0.0.0.0", port=80, depth=0, limit=1, owners=[owner])]

    before = runs.snapshot(listeners=listening(process(thread(7, 1.0))))
    after = runs.snapshot(listeners=listening(process(thread(7, 3.0))), taken_at_s=before.taken_at_s + 2)
    (owner,) = owners.of_snapshots(before, after)
    assert (owner.name, owner.busiest_ran) == ("node", 1.0)
    assert owners.of_snapshots(before, after, 81) == []
    assert owners.of_snapshots(None, after)[0].busiest_ran is None


def test_along_a_run() -> None:
    looks = [
        OwnerSample(pid=7, states={"S": 2}),
        OwnerSample(pid=7, states={"T": 2}, ran_share=0.4, waited_share=0.9),
        OwnerSample(pid=7, states={"T": 1, "S": 1}, ran_share=0.9, waited_share=0.1),
    ]
    points = [runs.point(float(at), owners=[look]) for at, look in enumerate(looks)]
    (seen,) = owners.along(runs.run(timeline=[*points, runs.point(3.0)]))
    assert seen == owners.OwnerLooks(pid=7, looks=3, stopped=1, most_ran=0.9, most_waited=0.9)
