"""A proxy that accepts, can't connect to its backend, and closes; told by the connects of its own host that fail."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.records import RunResult


def on_one_host(refused: int, opened: int) -> RunResult:
    """Client and proxy in one network namespace: the client's own connects count there too."""
    server = runs.local(deltas=runs.deltas(Tcp_AttemptFails=refused, Tcp_ActiveOpens=opened))
    return runs.without_backend(server=server)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.without_backend(), "confirmed"),
        (runs.without_backend(40, 36), "confirmed"),
        (runs.without_backend(40, 35), "ruled_out"),
        (runs.without_backend(40, 200), "confirmed"),  # it tried again, or another backend
        (runs.without_backend(40, 201), "possible"),  # more than its tries: others of its host failed as well
        (runs.without_backend(2, 2), "possible"),
        (runs.without_backend(13, 13), "confirmed"),  # one of three backends is away
        (runs.without_backend(40, 40, embryonic=40), "ruled_out"),  # half-open connections that clients took back
        (runs.without_backend(40, 40, opened=39), "ruled_out"),
        (runs.without_backend(0, 40), "ruled_out"),
        (on_one_host(40, 80), "confirmed"),
        (on_one_host(40, 79), "ruled_out"),  # 40 of the connects are the client's own
        (runs.without_backend(server=runs.remote()), "not_observed"),
        (runs.over_its_limit(), "ruled_out"),
        (runs.cut_short(), "ruled_out"),
        (runs.run(), "ruled_out"),
    ],
)
def test_what_a_proxy_closes_for_want_of_a_backend(run: RunResult, expected: str) -> None:
    assert alone("proxy_backend_unreachable", run).verdict == expected


def test_a_share_without_a_backend_is_no_limit_of_connections() -> None:
    """One of three backends is away: 13 of 40 are closed at once, and 27 stay."""
    points = [point.replace(attempted=40, connected=40) for point in runs.kept_timeline(27, 13)]
    diagnosis = judge(runs.without_backend(13, 13, timeline=points))
    assert diagnosis.cause == "proxy_backend_unreachable"
    assert "Explained" in next(s for s in diagnosis.suspects if s.cause == "server_connection_limit").summary


@pytest.mark.parametrize(
    ("failed", "opened", "accepted", "expected"),
    [
        (80, 160, 80, "possible"),
        (72, 80, 80, "possible"),
        (71, 80, 80, "ruled_out"),
        (401, 500, 80, "ruled_out"),
        (2, 2, 2, "ruled_out"),
        (80, 79, 80, "ruled_out"),
        (40, 40, 0, "ruled_out"),  # a client alone
        (0, 0, 80, "ruled_out"),
    ],
)
def test_of_two_snapshots_it_is_never_more_than_possible(
    failed: int, opened: int, accepted: int, expected: str
) -> None:
    moved = {"Tcp.AttemptFails": failed, "Tcp.ActiveOpens": opened, "Tcp.PassiveOpens": accepted}
    before = runs.snapshot(counters=runs.COUNTERS)
    counters = {name: value + moved.get(name, 0) for name, value in runs.COUNTERS.items()}
    diagnosis = judge_snapshots(before, runs.snapshot(taken_at_s=3.0, counters=counters))
    assert next(s for s in diagnosis.suspects if s.cause == "proxy_backend_unreachable").verdict == expected
    alone_now = judge_snapshots(None, runs.snapshot(counters=counters))
    assert next(s for s in alone_now.suspects if s.cause == "proxy_backend_unreachable").verdict == "not_observed"
