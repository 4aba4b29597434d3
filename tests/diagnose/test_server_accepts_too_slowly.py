"""More comes than is accepted for as long as it comes; and what looks like it: bursts, no core, no accept at all."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose import overload
from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.records import Listener, Process, Program, Requests, RunResult, Snapshot

ASKED = Requests(count=30, per_second=10.0)


def unread() -> RunResult:
    """Neither the counters nor the listener's own drops were read."""
    run = runs.outrun()
    watch = runs.watch(limit=16, worst_depth=17, drops=None)
    return run.replace(server=run.server.replace(deltas=None, listener=watch))


def held_back() -> RunResult:
    """So many connects at once and no more, of which as many wait."""
    return runs.outrun().replace(command="hold")


def for_a_while() -> RunResult:
    """It overflowed for a second of ten, at the end."""
    late = [point.replace(t_s=point.t_s + 7.0) for point in runs.outrun().timeline]
    early = [runs.point(tenth / 10, queue_depth=0, queue_limit=16, passive_opens=0) for tenth in range(70)]
    config = {"connections": 200, "rate_per_s": 50.0, "timeout_s": 1.0, "duration_s": 10.0}
    return runs.outrun(timeline=[*early, *late], elapsed_s=10.0, config=config)


def drained() -> RunResult:
    """The queue filled, and was empty once in between."""
    return runs.outrun(depths=lambda tenth: 1 if tenth == 15 else 17, accepted=lambda tenth: tenth + 16 * (tenth >= 15))


def a_queueful_at_a_time() -> RunResult:
    """17 each 400 ms, and none between: every look finds it full again."""
    return runs.outrun(500, depths=lambda _tenth: 17, accepted=lambda tenth: 17 * (tenth // 4))


def seldom_seen() -> RunResult:
    """Looks half a second apart miss what is taken at once."""
    run = runs.outrun()
    return run.replace(timeline=run.timeline[::5])


def closed_loop(timeout_s: float) -> RunResult:
    """20 clients of whom each waits for its answer: a queue for all of them serves the last after 2 s."""
    config = {"connections": 20, "rate_per_s": None, "timeout_s": timeout_s}
    return runs.outrun(config=config, requests=ASKED)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.outrun(), "confirmed"),
        (runs.outrun(ran_s=2.95), "confirmed"),  # of its own CPU
        (runs.outrun(ran_s=None), "confirmed"),
        (runs.outrun(112, 100, depths=lambda _tenth: 17), "confirmed"),
        (runs.outrun(109, 100, depths=lambda _tenth: 17), "ruled_out"),  # what was under way at the ends
        (runs.outrun(waited_s=0.9), "possible"),  # it could have run, and others had its core
        (runs.outrun(waited_s=0.89), "confirmed"),
        (unread(), "possible"),
        (held_back(), "ruled_out"),
        (for_a_while(), "ruled_out"),
        (drained(), "ruled_out"),
        (a_queueful_at_a_time(), "ruled_out"),
        (seldom_seen(), "ruled_out"),
        (closed_loop(2.1), "ruled_out"),
        (closed_loop(1.9), "confirmed"),
        (runs.outrun(accepted=lambda _tenth: 0), "ruled_out"),  # nothing at all
        (runs.outrun(timeline=[]), "not_observed"),
        (runs.stalled(), "ruled_out"),
        (runs.overflowed(), "ruled_out"),
        (runs.run(), "ruled_out"),
        (runs.healthy_churn(), "ruled_out"),
        (runs.run(server=runs.remote()), "not_observed"),
    ],
)
def test_more_comes_than_is_accepted(run: RunResult, expected: str) -> None:
    assert alone("server_accepts_too_slowly", run).verdict == expected


@pytest.mark.parametrize(
    "run", [held_back(), drained(), a_queueful_at_a_time(), closed_loop(2.1), seldom_seen(), for_a_while()]
)
def test_where_a_longer_queue_holds_what_comes_the_queue_is_named_and_mends_it(run: RunResult) -> None:
    diagnosis = judge(run)
    assert diagnosis.cause == "accept_queue_overflow"
    longer = [remedy for remedy in diagnosis.accused.remedies if remedy.command.startswith("listen(")]
    assert [remedy.works for remedy in longer] == [True]


def test_it_explains_the_overflow_and_says_both_rates_and_what_the_program_does() -> None:
    diagnosis = judge(runs.outrun())
    assert diagnosis.cause == "server_accepts_too_slowly"
    assert "50/s came and 10/s were accepted" in diagnosis.summary
    assert "ran 1% of the time: it waits for something between two accepts" in diagnosis.summary
    overflow = next(suspect for suspect in diagnosis.suspects if suspect.cause == "accept_queue_overflow")
    assert overflow.summary.startswith("Explained by server_accepts_too_slowly")
    assert "no CPU left" in judge(runs.outrun(ran_s=2.95)).summary


def test_a_longer_queue_delays_by_so_many_seconds_and_a_priority_does_nothing_for_who_waits() -> None:
    """512 instead of 16 places, 40 a second more than are taken."""
    futile = {remedy.command: remedy.why for remedy in judge(runs.outrun()).accused.remedies if not remedy.works}
    assert (
        "256 instead of 16 delays the overflow by 6.0 s, and no more"
        in futile["a bigger backlog, sysctl -w net.core.somaxconn=65535"]
    )
    assert "more cores, nice, renice, chrt" in futile
    busy = judge(runs.outrun(ran_s=2.95)).accused.remedies
    assert not any("nice" in remedy.command for remedy in busy)
    assert any(remedy.command.startswith("perf top -p 4321") for remedy in busy)


@pytest.mark.parametrize(
    ("processes", "command"),
    [
        (["gunicorn"], "gunicorn --workers 5"),
        (["gunicorn", "gunicorn", "gunicorn"], "gunicorn --workers 10"),
        (["app"], "several"),
    ],
)
def test_as_many_workers_as_would_keep_up(processes: list[str], command: str) -> None:
    """Of several that own the listener one is the master."""
    owners = [Process(pid=4321 + number, name=name) for number, name in enumerate(processes)]
    run = runs.outrun()
    run = run.replace(server=run.server.replace(processes=owners))
    remedies = alone("server_accepts_too_slowly", run).remedies
    assert remedies[0].command.startswith(command)
    assert "5 times as many would keep up" in remedies[0].why


# A program's, a host's ---------------------------------------------------------------------------------------------


def watched(packets_per_s: float) -> RunResult:
    """`attach :5000`: who connects is on other hosts, so that only what was turned away tells of them."""
    run = runs.outrun()
    points = [
        point.replace(attempted=0, connected=0, listener_drops=round(packets_per_s * point.t_s))
        for point in run.timeline
    ]
    program = Program(name=":5000", seen="sampled", processes=1, looks=30)
    return run.replace(command="attach", program=program, timeline=points, failures=[], funnel=runs.funnel(0, 0))


@pytest.mark.parametrize(
    ("packets_per_s", "cause"), [(40, "server_accepts_too_slowly"), (0.5, "accept_queue_overflow")]
)
def test_of_a_server_whose_clients_are_not_seen_packets_tell(packets_per_s: float, cause: str) -> None:
    assert judge(watched(packets_per_s)).cause == cause


def looks(depth: int, accepted: int, drops: int = 80, limit: int = 16) -> tuple[Snapshot, Snapshot]:
    """A listener at two moments 2 s apart, of whose queue so many were accepted in between."""
    before, after = (
        runs.snapshot(
            taken_at_s=at_s,
            listeners=[
                Listener(family=4, address="0.0.0.0", port=5000, depth=depth, limit=limit, drops=dropped, inode=4)
            ],
            states={"LISTEN": 1},
            counters={"Tcp.PassiveOpens": opened, "TcpExt.ListenOverflows": dropped},
        )
        for at_s, dropped, opened in ((10.0, 0, 100), (12.0, drops, 100 + accepted))
    )
    return before, after


@pytest.mark.parametrize(
    ("moments", "cause", "verdict"),
    [
        (looks(21, 20, limit=20), "server_accepts_too_slowly", "confirmed"),  # who waited last waits still
        (looks(21, 21, limit=20), "accept_queue_overflow", "possible"),  # it may have been emptied and filled again
        (looks(17, 40, drops=2), "accept_queue_overflow", "ruled_out"),
        (looks(17, 0), "server_not_accepting", "possible"),
    ],
)
def test_two_looks_at_a_host(moments: tuple[Snapshot, Snapshot], cause: str, verdict: str) -> None:
    diagnosis = judge_snapshots(*moments)
    assert diagnosis.cause == cause
    suspect = next(each for each in diagnosis.suspects if each.cause == "server_accepts_too_slowly")
    assert suspect.verdict == verdict or cause == "server_not_accepting"


def test_one_look_tells_nothing_of_rates() -> None:
    diagnosis = judge_snapshots(None, looks(17, 20)[1])
    suspect = next(each for each in diagnosis.suspects if each.cause == "server_accepts_too_slowly")
    assert suspect.verdict == "not_observed"


def test_a_queue_is_outrun_or_held_and_never_both() -> None:
    for run in (runs.outrun(), drained(), closed_loop(2.1), runs.run(), runs.overflowed()):
        assert (overload.outrun(run) is None) == (overload.why_held(run) is not None)
