"""What the threads of some processes did since they were first seen, by a clock and times that are passed in."""

from __future__ import annotations

import os
import threading

from estab.kernel.formats.proc_pid import SchedStat
from estab.observe.cpu_watch import CpuWatch
from estab.records import ProgramCpu, ProgramThread

Times = dict[int, dict[int, SchedStat]]


def done(ran_s: float, waited_s: float = 0.0) -> SchedStat:
    return SchedStat(ran_ns=int(ran_s * 1e9), waited_ns=int(waited_s * 1e9))


def watched(*looks: tuple[float, Times]) -> ProgramCpu | None:
    """The looks, each at its time."""
    at = {"s": 0.0}
    seen = Times()
    watch = CpuWatch(lambda pid: seen[pid], lambda: at["s"])
    for at["s"], times in looks:
        seen.update(times)
        watch.see(list(times))
    at["s"] += 100.0  # what was seen is asked for long after
    return watch.so_far()


def test_what_it_did_before_does_not_count() -> None:
    seen = watched((0.0, {7: {7: done(50, 20)}}), (4.0, {7: {7: done(51, 22.5)}}))
    busiest = ProgramThread(pid=7, tid=7, ran_s=1.0, waited_s=2.5, seen_s=4.0)
    assert seen == ProgramCpu(threads=1, ran_s=1.0, waited_s=2.5, busiest=busiest)


def test_what_begins_later_begins_at_nothing() -> None:
    seen = watched((0.0, {7: {7: done(0.1)}}), (1.0, {7: {7: done(0.1), 8: done(0.5, 0.25)}, 9: {9: done(0.2)}}))
    assert seen == ProgramCpu(
        threads=3, ran_s=0.7, waited_s=0.25,
        busiest=ProgramThread(pid=7, tid=8, ran_s=0.5, waited_s=0.25, seen_s=0.75),  # it began before it was seen
    )  # fmt: skip


def test_what_has_ended_is_counted_as_it_was_last_seen() -> None:
    seen = watched(
        (0.0, {7: {7: done(0)}}),
        (1.0, {7: {7: done(0.1)}, 8: {8: done(0.4, 0.1)}}),
        (2.0, {7: {7: done(0.2)}, 8: {8: done(1.0, 0.3)}}),
        (3.0, {7: {7: done(0.3)}}),
        (4.0, {7: {7: done(0.4)}}),
    )
    assert seen == ProgramCpu(
        threads=2, ran_s=1.4, waited_s=0.3, busiest=ProgramThread(pid=8, tid=8, ran_s=1.0, waited_s=0.3, seen_s=2.0)
    )


def test_a_number_that_was_given_again_is_another_thread() -> None:
    seen = watched((0.0, {7: {7: done(5)}}), (1.0, {7: {7: done(5.5)}}), (2.0, {7: {7: done(0.25)}}))
    assert seen is not None
    assert (seen.threads, seen.ran_s) == (2, 0.75)


def test_a_kernel_that_does_not_count_and_nothing_seen() -> None:
    assert watched((0.0, {7: {7: done(0)}}), (1.0, {7: {7: done(0)}})) is None
    assert watched((0.0, {})) is None


def test_this_process_and_one_that_is_gone() -> None:
    watch = CpuWatch()
    watch.see([os.getpid(), 2**22 + 1])
    worked, looked_at = threading.Event(), threading.Event()

    def work() -> None:
        sum(range(300_000))
        worked.set()
        looked_at.wait()

    worker = threading.Thread(target=work)
    worker.start()
    worked.wait()  # the kernel adds up what a thread ran when it stops running
    watch.see([os.getpid()])
    looked_at.set()
    worker.join()
    watch.see([os.getpid()])
    seen = watch.so_far()
    assert seen is not None
    assert seen.ran_s > 0
