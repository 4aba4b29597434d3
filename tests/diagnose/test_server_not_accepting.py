from __future__ import annotations

from typing import Any

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.suspects import server_not_accepting
from estab.records import Process, RunResult, ServerLook, TimelinePoint


def stuck(waiting: int = 129, accepted: int = 0, seconds: float = 3.0, **fields: Any) -> RunResult:
    """At once so many are accepted, then none for so long."""
    watch = runs.watch(worst_depth=waiting, last_depth=waiting, queued_at_end=waiting, accepted_at_end=accepted)
    values: dict[str, Any] = {
        "funnel": runs.funnel(400, 129, accepted=accepted),
        "server": runs.local(watch),
        "timeline": runs.stuck_timeline(waiting, accepted, seconds),
    }
    return runs.run(**{**values, **fields})


def without_counters(run: RunResult, **fields: Any) -> RunResult:
    """Nothing of PassiveOpens: only the queue's depth, and what `fields` say."""
    return run.replace(timeline=[point.replace(passive_opens=None, **fields) for point in run.timeline])


FAILED = {"failures": [runs.failure("connect", "own_timeout", 271)]}


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (stuck(), "confirmed"),
        (stuck(100), "confirmed"),  # it need not be full: 100 that nobody accepts are enough
        (stuck(1), "confirmed"),
        (stuck(0), "ruled_out"),
        (stuck(accepted=5), "confirmed"),  # accepted some, then no more: a limit of the program's own looks so
        (stuck(seconds=1.2), "confirmed"),
        (stuck(seconds=1.0), "not_observed"),  # samples from 0.1 to 1.0 s: shorter than a second
        (stuck(seconds=1.0, **FAILED), "possible"),
        (without_counters(stuck()), "confirmed"),  # a hold keeps what it opens: the accepted sockets tell
        (without_counters(stuck(), server_held=None), "not_observed"),
        (without_counters(stuck(**FAILED), server_held=None), "possible"),
        (without_counters(stuck(**FAILED)).replace(command="churn"), "possible"),
    ],
)
def test_a_queue_that_nobody_empties(run: RunResult, expected: str) -> None:
    assert alone("server_not_accepting", run).verdict == expected


def test_a_queue_that_empties_as_the_load_closes_was_not_emptied_before() -> None:
    """The last point that shows connections open may have read the queue after they were closed."""
    run = stuck(accepted=42)
    last = run.timeline[-1]
    emptied = last.replace(t_s=last.t_s + 0.1, queue_depth=0)
    closed = emptied.replace(t_s=last.t_s + 0.2, open=0)
    held = [point.replace(open=129) for point in run.timeline]
    suspect = alone("server_not_accepting", run.replace(timeline=[*held, emptied.replace(open=129), closed]))
    assert suspect.verdict == "confirmed"
    assert (
        alone("server_not_accepting", run.replace(timeline=[*held, emptied.replace(open=129)])).verdict != "confirmed"
    )


def test_it_says_how_many_were_accepted_before() -> None:
    assert alone("server_not_accepting", stuck()).summary.startswith("The server accepted nothing at all: ")
    assert alone("server_not_accepting", stuck(accepted=5)).summary.startswith(
        "The server accepted 5 connections and then no more: nothing was accepted for the last 2.9 s"
    )


def test_a_stopped_process_is_said() -> None:
    halted = Process(pid=4321, name="python3", thread_states={"T": 2})
    run = stuck()
    run = run.replace(server=run.server.replace(processes=[halted]))
    assert "python3 (pid 4321) is stopped (state T)" in alone("server_not_accepting", run).summary


def stopped(gap_s: float, accepted_until_s: float = 1.0, until_s: float = 3.0) -> list[TimelinePoint]:
    """One accept every `gap_s` until `accepted_until_s`; connections wait from then on."""
    points = []
    for tenth in range(int(until_s * 10) + 1):
        t = tenth / 10
        accepted = int(min(t, accepted_until_s) / gap_s + 1e-9)
        points.append(runs.point(t, attempted=400, connected=200, accepted=accepted, queue_depth=5 + tenth))
    return points


@pytest.mark.parametrize(
    ("timeline", "expected"),
    [
        (stopped(0.1), "confirmed"),
        (stopped(0.1, accepted_until_s=2.5), "ruled_out"),  # half a second of silence is no silence
        (stopped(0.5, accepted_until_s=2.8), "ruled_out"),  # slow, but it accepts
        (stopped(1.0, accepted_until_s=2.0, until_s=4.5), "not_observed"),  # 2.5 s: not three times its pause
        (stopped(1.0, accepted_until_s=2.0, until_s=5.5), "confirmed"),
    ],
)
def test_a_server_that_accepted_and_then_stopped(timeline: list[TimelinePoint], expected: str) -> None:
    server = runs.embedded(runs.watch(worst_depth=35, last_depth=35, queued_at_end=35, accepted_at_end=10))
    assert alone("server_not_accepting", stuck(35, 10, timeline=timeline, server=server)).verdict == expected


@pytest.mark.parametrize(
    ("accepted", "failed", "deepest", "overflows", "expected"),
    [
        (125, 34, 6, 500, ("possible", 6)),  # turned away before: since it stands still the queue has had room
        (125, 34, 9, 500, ("confirmed", 34)),  # full: what it turned away meanwhile has nowhere to wait
        (125, 10, 6, 500, ("confirmed", 6)),  # most of what failed waits
        (125, 34, 6, 0, ("confirmed", 6)),  # nothing was turned away: it failed of something else
        (4, 34, 6, 500, ("confirmed", 34)),  # it never emptied the queue: all came at once, and it stopped meanwhile
    ],
)
def test_standing_still_with_room_left_answers_for_what_waits(
    accepted: int, failed: int, deepest: int, overflows: int, expected: tuple[str, int]
) -> None:
    depth = {"worst_depth": 9, "last_depth": deepest, "queued_at_end": deepest, "accepted_at_end": 1}
    watch = runs.watch(limit=8, drops=overflows, **depth)
    points = [runs.point(0.5, accepted=accepted // 2, queue_depth=0)]
    depths = [min(3 + tenth, deepest) for tenth in range(27)]
    points += [runs.point(1 + at / 10, accepted=accepted, queue_depth=depth) for at, depth in enumerate(depths)]
    run = runs.run(
        funnel=runs.funnel(158, 158, first_byte=accepted - 1, accepted=accepted),
        failures=[runs.failure("read", "own_timeout", failed)],
        server=runs.local(watch, deltas={"TcpExt.ListenOverflows": overflows, "TcpExt.ListenDrops": overflows}),
        timeline=points,
    )
    assert (alone("server_not_accepting", run).verdict, server_not_accepting.failures(run)) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"funnel": runs.funnel(first_byte=400)}, "ruled_out"),
        ({"funnel": runs.funnel(first_byte=399)}, "not_observed"),
        ({}, "not_observed"),
        ({"failures": [runs.failure("read", "own_timeout", 400)]}, "possible"),
        ({"failures": [runs.failure("read", "ECONNRESET", 400)]}, "not_observed"),
    ],
)
def test_from_the_client_alone(fields: dict[str, object], expected: str) -> None:
    assert alone("server_not_accepting", runs.run(server=runs.remote(), **fields)).verdict == expected


def test_remedies_name_the_process_and_what_does_nothing() -> None:
    found = alone("server_not_accepting", runs.stalled()).remedies
    assert any("-p 4321" in r.command for r in found if r.works)
    assert any("backlog" in r.command for r in found if not r.works)


def test_a_healthy_run_does_not_accuse_it() -> None:
    assert alone("server_not_accepting", runs.run()).verdict == "ruled_out"


@pytest.mark.parametrize(
    ("waiting", "later", "failed", "expected"),
    [
        (9, [], 9, "possible"),
        (9, [], 8, "ruled_out"),
        (0, [], 9, "ruled_out"),
        (9, [0], 9, "possible"),  # as the load closed
        (9, [4], 9, "ruled_out"),  # some were accepted
    ],
)
def test_a_single_look_while_the_load_stood_tells_no_accept(
    waiting: int, later: list[int], failed: int, expected: str
) -> None:
    """The next one came after the load, when a server at a limit of its own accepts again."""
    few = [
        ServerLook(t_s=t_s, queue_depth=depth, load_open=is_open, passive_opens=12)
        for t_s, depth, is_open in (
            (0.0, 0, False),
            (9.2, waiting, True),
            *((14.0, depth, True) for depth in later),
            (23.9, 0, False),
        )
    ]
    watch = runs.watch(worst_depth=waiting, last_depth=0, queued_at_end=waiting, accepted_at_end=3)
    run = runs.run(
        "bench", funnel=runs.funnel(12, 12, accepted=None, completed=3), timeline=[],
        failures=[runs.failure("read", "own_timeout", failed)], server=runs.local(watch, looks=few),
    )  # fmt: skip
    assert alone("server_not_accepting", run).verdict == expected
