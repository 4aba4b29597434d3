from __future__ import annotations

from typing import Any

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone
from tests.diagnose.test_program import program
from tests.diagnose.test_snapshots import moment

from estab.diagnose import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.diagnose.suspects import BY_ID
from estab.lab.twin.plan import plan
from estab.records import (
    Diagnosis,
    Failure,
    Listener,
    Process,
    Program,
    RunResult,
    Snapshot,
    Suspect,
    UnixQueue,
    UnixRefused,
)

CAUSE = "unix_accept_queue_overflow"
NGINX = 4321  # who owns the listener of `runs.local()`


# A load of our own -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.unix_overflowed(), "confirmed"),
        (runs.unix_overflowed(1), "confirmed"),
        (runs.unix_overflowed(0), "ruled_out"),
        (runs.run(), "ruled_out"),
        (runs.overflowed(), "ruled_out"),
        # EAGAIN at connect() of TCP would be another thing.
        (runs.run(failures=[runs.failure("connect", "EAGAIN", 5)]), "ruled_out"),
    ],
)
def test_a_load(run: RunResult, expected: str) -> None:
    assert alone(CAUSE, run).verdict == expected


def test_the_verdict_on_a_load_names_the_socket_and_what_fits() -> None:
    judged = judge(runs.unix_overflowed())
    assert (judged.cause, judged.side) == (CAUSE, "server")
    assert "unix:/run/app.sock was full (9 fit): 51 connects got EAGAIN" in judged.summary
    works = [remedy.command for remedy in named(judged).remedies if remedy.works]
    assert "gunicorn --backlog 128" in works
    assert any("ip_local_port_range" in remedy.command for remedy in named(judged).remedies if not remedy.works)


def behind(
    status: str | None = "502", *, full_looks: int = 7, full_before: bool = False, looked: bool = True
) -> RunResult:
    """bench http://… asks nginx, which asks gunicorn over a UNIX socket: what nginx's connects got is not seen."""
    queue = UnixQueue(
        address="unix:/run/app.sock", limit=8, worst_depth=9, looks=20, full_looks=full_looks, full_before=full_before,
        owners=[Process(pid=77, name="gunicorn")],
    )  # fmt: skip
    failures = [] if status is None else [runs.failure("status", status, 300)]
    run = runs.healthy_bench(runs.local())
    server = run.server.replace(unix_queues=[queue] if looked else None)
    return run.replace(server=server, failures=failures)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (behind(), "possible"),
        (behind(None), "ruled_out"),  # nobody suffered
        (behind("404"), "ruled_out"),  # which nobody has of a queue
        (behind(full_looks=0), "ruled_out"),
        (behind(full_before=True), "ruled_out"),
        (behind(looked=False), "ruled_out"),
    ],
)
def test_a_queue_behind_the_server_that_a_load_asks(run: RunResult, expected: str) -> None:
    assert alone(CAUSE, run).verdict == expected


def test_the_queue_behind_it_is_named_with_its_owners_setting() -> None:
    suspect = named(judge(behind()))
    assert "unix:/run/app.sock (gunicorn (pid 77)) was full (9 fit) at 7 of 20 looks" in suspect.summary
    assert "gunicorn --backlog 512" in [remedy.command for remedy in suspect.remedies if remedy.works]


def named(judged: Diagnosis) -> Suspect:
    return next(suspect for suspect in judged.suspects if suspect.cause == CAUSE)


def test_what_is_tcps_is_ruled_out_over_a_unix_socket() -> None:
    judged = judge(runs.unix_overflowed())
    ruled_out = {suspect.cause for suspect in judged.suspects if suspect.verdict == "ruled_out"}
    assert ruled_out >= {cause.id for cause in BY_ID.values() if not cause.over_unix}


def test_a_healthy_load_over_a_unix_socket_accuses_nobody() -> None:
    judged = judge(runs.unix_overflowed(0, funnel=runs.funnel(60, 60)))
    assert judged.cause is None
    assert [suspect.cause for suspect in judged.suspects if suspect.verdict == "possible"] == []


def test_a_server_that_never_accepts_comes_before_the_queue_that_it_fills() -> None:
    stalled = runs.stalled()
    run = runs.unix_overflowed(funnel=runs.funnel(60, 9, accepted=0), timeline=stalled.timeline)
    watch = run.server.listener
    assert watch is not None
    stuck = watch.replace(last_depth=9, rose_only=True, queued_at_end=9, accepted_at_end=0)
    server = run.server.replace(listener=stuck, embedded=True, processes=None)
    assert judge(run.replace(server=server)).cause == "server_not_accepting"


# A program's -------------------------------------------------------------------------------------------------------


def queue(**fields: Any) -> UnixQueue:
    owner = Process(pid=9, name="gunicorn")
    values: dict[str, Any] = {"address": runs.UNIX, "limit": 8, "worst_depth": 9, "looks": 50, "full_looks": 12}
    return UnixQueue(**{**values, "owners": [owner], **fields})


def eagain(count: int) -> list[Failure]:
    return [Failure(phase="connect", errno="EAGAIN", count=count)]


TRACED = Program(name="ab", seen="traced", exit=0, unix_connects=0, unix_failures=[], unix_refused=[], unix_queues=[])
SAMPLED = Program(name="ab", seen="sampled", exit=0, unix_queues=[])
ITS_SERVER = UnixRefused(pid=NGINX, name="nginx", count=300)
A_STRANGER = UnixRefused(pid=5, name="nginx", count=300)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (TRACED.replace(unix_connects=9, unix_failures=eagain(3), unix_queues=[queue()]), "confirmed"),
        (TRACED.replace(unix_connects=9, unix_failures=eagain(3)), "confirmed"),  # between two looks
        (TRACED.replace(unix_refused=[ITS_SERVER], unix_queues=[queue()]), "confirmed"),
        (TRACED.replace(unix_refused=[A_STRANGER], unix_queues=[queue(own=True)]), "confirmed"),
        # Of others that it has nothing to do with.
        (TRACED.replace(unix_refused=[A_STRANGER], unix_queues=[queue()]), "possible"),
        (TRACED.replace(unix_refused=[A_STRANGER]), "ruled_out"),
        (TRACED.replace(unix_queues=[queue()]), "possible"),  # who blocks waits
        (TRACED.replace(unix_queues=[queue(full_before=True)]), "ruled_out"),  # it was so before
        (TRACED.replace(unix_queues=[queue(full_looks=0, worst_depth=8)]), "ruled_out"),
        (TRACED, "ruled_out"),
        (SAMPLED.replace(unix_queues=[queue()]), "possible"),
        (SAMPLED.replace(unix_queues=[queue(full_before=True, own=True)]), "possible"),
        (SAMPLED.replace(unix_queues=[queue(full_looks=0, worst_depth=8)]), "not_observed"),
        (SAMPLED, "ruled_out"),
        (SAMPLED.replace(unix_queues=None), "not_observed"),
    ],
)
def test_a_program(seen: Program, expected: str) -> None:
    run = judged(seen)
    assert run.diagnosis is not None
    suspect = named(run.diagnosis)
    assert suspect.verdict == expected
    assert (run.cause == CAUSE) is (expected == "confirmed")


def judged(seen: Program) -> RunResult:
    server = moment(listeners=[Listener(family=4, address="127.0.0.1", port=5000, depth=0, limit=128)])
    run = program(program=seen, server=runs.local(before=server, after=server))
    return run.replace(diagnosis=judge(run))


def test_who_got_eagain_and_whose_socket_it_is() -> None:
    run = judged(TRACED.replace(unix_refused=[ITS_SERVER], unix_queues=[queue()]))
    assert run.diagnosis is not None
    said = run.diagnosis.summary
    assert "unix:/run/app.sock (gunicorn (pid 9)) was full (9 fit): 300 connects of nginx (pid 4321) got EAGAIN" in said


def test_a_sampled_program_says_that_nothing_is_counted() -> None:
    run = judged(SAMPLED.replace(unix_queues=[queue()]))
    assert run.diagnosis is not None
    assert "full (9 fit) at 12 of 50 looks; the kernel counts nothing" in named(run.diagnosis).summary


def test_a_tcp_overflow_before_a_healthy_unix_backend_is_not_confused_with_it() -> None:
    run = program(runs.overflowed(), program=TRACED.replace(unix_queues=[queue(full_looks=0, worst_depth=2)]))
    diagnosis = judge(run)
    assert diagnosis.cause == "accept_queue_overflow"
    assert named(diagnosis).verdict == "ruled_out"


def test_its_twin_is_a_load_over_a_unix_socket() -> None:
    planned = plan(judged(TRACED.replace(unix_refused=[ITS_SERVER], unix_queues=[queue()])))
    setup = planned.setup
    assert (setup.unix, setup.rtt_s, setup.backlog, setup.load.connections) == (True, None, 8, 109)
    assert setup.pauses


# Snapshots ---------------------------------------------------------------------------------------------------------


def at(t_s: float, listeners: list[Listener] | None) -> Snapshot:
    return moment(unix_listeners=listeners).replace(taken_at_s=t_s)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, [runs.unix_queue(depth=9)], "possible"),
        (None, [runs.unix_queue(depth=8)], "not_observed"),
        ([runs.unix_queue()], [runs.unix_queue(depth=9)], "possible"),
        ([runs.unix_queue(depth=9)], [runs.unix_queue(depth=9)], "possible"),
        ([runs.unix_queue()], [runs.unix_queue(worst_depth=9)], "possible"),  # between the two, as an exporter saw it
        (None, [runs.unix_queue(worst_depth=9)], "not_observed"),  # and nobody knows when
        ([runs.unix_queue()], [runs.unix_queue(worst_depth=8)], "not_observed"),
        (None, [], "ruled_out"),
        (None, None, "not_observed"),
    ],
)
def test_snapshots(before: list[Listener] | None, after: list[Listener] | None, expected: str) -> None:
    earlier = None if before is None else at(1.0, before)
    judged = judge_snapshots(earlier, at(3.0, after))
    assert judged.cause is None
    suspect = named(judged)
    assert suspect.verdict == expected
    assert bool(suspect.remedies) is (expected == "possible")


def test_snapshots_name_the_fullest_socket_its_owner_and_its_setting() -> None:
    idle = runs.unix_queue(address="unix:@other", inode=8)
    suspect = named(judge_snapshots(None, at(3.0, [idle, runs.unix_queue(depth=9)])))
    assert "unix:/run/app.sock (gunicorn (pid 4321)) is full now: 9 wait, 9 fit" in suspect.summary
    assert any(remedy.command == "gunicorn --backlog 128" for remedy in suspect.remedies)
