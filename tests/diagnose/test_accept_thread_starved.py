from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.records import Listener, Process, RunResult, Thread


def owned(name: str, cpu_s: float) -> RunResult:
    """As `starved`, by a server of this name."""
    base = runs.starved(cpu_s)
    processes = [p.replace(name=name) for p in base.server.processes or []]
    return base.replace(server=base.server.replace(processes=processes))


def uncounted(cpu_s: float) -> RunResult:
    """As `starved`, where neither the counters nor the listener's drops were read."""
    base = runs.starved(cpu_s)
    watch = runs.watch(limit=16, worst_depth=17, last_depth=13, drops=None, queued_at_end=13, accepted_at_end=60)
    return base.replace(server=base.server.replace(deltas=None, listener=watch))


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.starved(6.2), "confirmed"),  # 3.1 s on two cores
        (runs.starved(5.6), "confirmed"),
        (uncounted(6.2), "possible"),  # whether the queue overflowed was not seen
        (runs.starved(5.5), "ruled_out"),
        (runs.starved(0.1), "ruled_out"),
        (owned("python3", 3.0), "confirmed"),  # one interpreter lock: one core is all
        (owned("python3", 2.7), "ruled_out"),
        (owned("app", 3.0), "ruled_out"),
        (runs.overflowed(), "not_observed"),  # CPU not read
        (runs.stalled(), "ruled_out"),  # nothing accepted at all
        (runs.run(), "ruled_out"),
        (runs.run(server=runs.remote()), "not_observed"),
        # All of the CPU, but on accepting: 6.2 s for 45,630 connections.
        (
            runs.starved(6.2).replace(funnel=runs.funnel(46_000, 45_630, accepted=45_000)),
            "ruled_out",
        ),
    ],
)
def test_a_starved_accepting_thread(run: RunResult, expected: str) -> None:
    assert alone("accept_thread_starved", run).verdict == expected


def test_connects_that_come_at_once_and_fill_the_queue_by_themselves_are_not_its_doing() -> None:
    burst = runs.starved(6.2, config={"ramp_per_s": None})
    assert alone("accept_thread_starved", burst).summary.endswith(
        "But 400 connects came at once to 17 places: they fill the queue before any accept()."
    )
    assert judge(burst).cause == "accept_queue_overflow"
    assert judge(burst.replace(config={**burst.config, "connections": 17})).cause == "accept_thread_starved"
    assert judge(burst.replace(config={**burst.config, "in_flight": 100})).cause == "accept_thread_starved"


def test_cpu_of_a_process_that_was_not_there_before_is_not_known() -> None:
    base = runs.starved()
    other = [Process(pid=9, name="new", fds=3, nofile_soft=64, cpu_s=99.0)]
    run = base.replace(server=base.server.replace(processes=other))
    assert alone("accept_thread_starved", run).verdict == "not_observed"


# Threads -----------------------------------------------------------------------------------------------------------


def beside_others(
    ran_s: float, waited_s: float, *, depths: tuple[int, ...] = (0, 0, 0, 0, 9, 0, 0, 0, 0, 0) * 4, pause: bool = False
) -> RunResult:
    """A churn of 4 s whose server shares its core with others: ran and waited so long. `depths`: its queue, by tenths.

    With `pause` nothing is accepted from one sample to the next; without, 30 at each.
    """

    def listening(cpu_s: float, thread: Thread) -> list[Listener]:
        owner = Process(pid=4321, name="app", started_ticks=3, cpu_s=cpu_s, threads=[thread])
        return [Listener(family=4, address="127.0.0.1", port=5000, depth=0, limit=8, owners=[owner])]

    first, last = (
        Thread(tid=4321, state="S", ran_ns=10**9, waited_ns=10**9),
        Thread(tid=4321, state="S", ran_ns=10**9 + int(ran_s * 1e9), waited_ns=10**9 + int(waited_s * 1e9)),
    )
    before, after = (
        runs.snapshot(taken_at_s=at_s, states={"LISTEN": 1}, listeners=listening(1.0 + cpu_s, thread))
        for at_s, cpu_s, thread in ((10.0, 0.0, first), (14.0, ran_s, last))
    )
    timeline = [
        runs.point(tick / 10, attempted=30 * tick, queue_depth=depth, passive_opens=9 if pause else 9 + 30 * tick)
        for tick, depth in enumerate(depths, 1)
    ]
    watch = runs.watch(limit=8, worst_depth=9, drops=300, queued_at_end=0, accepted_at_end=0)
    server = runs.local(
        watch,
        before=before,
        after=after,
        deltas=runs.deltas(ListenOverflows=300, ListenDrops=300),
        processes=after.listeners[0].owners if after.listeners else None,
    )
    funnel = runs.funnel(1200, 1200, accepted=None, completed=1200)
    return runs.run("churn", timeline=timeline, server=server, funnel=funnel, elapsed_s=4.0)


_NOW_AND_THEN = (0, 9, 0, 9, 0, 0, 9, 0, 0, 0) * 4


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (beside_others(0.1, 1.3), "confirmed"),  # 33% of 4 s
        (beside_others(1.4, 1.3), "ruled_out"),  # it ran longer than it waited
        # It had seldom work, and while it had, others ran: 0.6 of the 1.2 s in which connections waited.
        (beside_others(0.1, 0.6, depths=_NOW_AND_THEN), "confirmed"),
        (beside_others(0.19, 0.6, depths=_NOW_AND_THEN), "confirmed"),
        (beside_others(0.1, 0.6, depths=(0, 9) * 20), "ruled_out"),  # of 2 s
        (beside_others(0.25, 0.6, depths=_NOW_AND_THEN), "ruled_out"),  # it had work enough, and shared its core
        (beside_others(0.03, 0.2), "ruled_out"),  # a hiccup: half of 0.4 s
        # All the time connections waited, and it slept for longer than it waited for a core.
        (beside_others(0.1, 1.3, depths=(9,) * 40), "ruled_out"),
        (beside_others(0.1, 1.3, depths=(0, 9, 9) * 13), "confirmed"),
        # It stood still of itself: 0.3 s without an accept.
        (beside_others(0.03, 0.2, depths=(0, 9, 9, 9, 9) + (0,) * 35, pause=True), "ruled_out"),
        (beside_others(3.0, 0.7), "confirmed"),  # its thread had no time left
        (beside_others(3.0, 0.5), "ruled_out"),
    ],
)
def test_a_thread_that_others_keep_from_its_core(run: RunResult, expected: str) -> None:
    assert alone("accept_thread_starved", run).verdict == expected


def test_a_hiccup_in_a_short_run_starves_nobody() -> None:
    """Of 0.57 s it waited 53% for a core and ran 1%; the queue had overflowed in the burst before."""
    run = beside_others(0.006, 0.3)
    assert run.server.before is not None
    assert run.server.after is not None
    short = run.server.replace(after=run.server.after.replace(taken_at_s=run.server.before.taken_at_s + 0.57))
    assert alone("accept_thread_starved", run.replace(server=short, timeline=run.timeline[:6])).verdict == "ruled_out"


@pytest.mark.parametrize(
    ("ran_s", "waited_s", "drops", "expected"),
    [
        (0.1, 2.0, 300, "confirmed"),
        (0.1, 2.0, 0, "possible"),
        (0.1, 1.3, 300, "possible"),  # it slept for longer: of itself, or connections did not wait all the time
        (0.1, 1.1, 300, "ruled_out"),
    ],
)
def test_two_looks_tell_it_too(ran_s: float, waited_s: float, drops: int, expected: str) -> None:
    run = beside_others(ran_s, waited_s)
    before, after = (
        taken.replace(
            counters={
                "TcpExt.ListenOverflows": turned_away,
                "TcpExt.TCPDeferAcceptDrop": 0,
                "Tcp.PassiveOpens": turned_away,
            },
            listeners=[at.replace(depth=8, drops=turned_away, inode=3) for at in taken.listeners or []],
        )
        for taken, turned_away in ((run.server.before, 0), (run.server.after, drops))
        if taken is not None
    )
    suspects = judge_snapshots(before, after).suspects
    assert next(suspect.verdict for suspect in suspects if suspect.cause == "accept_thread_starved") == expected
