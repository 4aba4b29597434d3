"""The server has no route to the client: figures as Linux 6.18 gives them, seen from both ends."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.records import RunResult


def unanswered(routes: int = 40, drops: int = 40, own: int | None = 40, cookies: int = 1) -> RunResult:
    """20 connects, each sent twice: the listener dropped each SYN, for its answer had no route."""
    before = runs.snapshot(sysctls={"net.ipv4.tcp_syncookies": [cookies]})
    risen = {"Ip_OutNoRoutes": routes, "ListenDrops": drops, "Tcp_PassiveOpens": 0}
    return runs.run(
        funnel=runs.funnel(20, 0),
        failures=[runs.failure("connect", "own_timeout", 20)],
        syn_retransmits={"1": 20},
        client={"deltas": runs.deltas(TCPSynRetrans=20)},
        server=runs.local(
            runs.watch(drops=own, accepted_at_end=0), deltas=runs.deltas(**risen), before=before, after=before
        ),
    )


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (unanswered(), "confirmed"),
        (unanswered(routes=21), "confirmed"),
        (unanswered(routes=20), "possible"),
        (unanswered(routes=0), "ruled_out"),
        (unanswered(drops=0, own=0), "ruled_out"),  # what had no route was something else
        (unanswered().replace(server=runs.remote()), "not_observed"),
        (runs.run(), "ruled_out"),
    ],
)
def test_answers_without_a_route(run: RunResult, expected: str) -> None:
    assert alone("no_route_back", run).verdict == expected


@pytest.mark.parametrize("cookies", [0, 1])
def test_neither_queue_is_blamed_for_it(cookies: int) -> None:
    said = judge(unanswered(cookies=cookies))
    assert said.cause == "no_route_back"
    verdicts = {s.cause: s.verdict for s in said.suspects}
    assert verdicts["syn_queue_overflow"] == verdicts["accept_queue_overflow"] == "ruled_out"


def test_two_snapshots_show_it() -> None:
    before = runs.snapshot(counters=runs.COUNTERS)
    moved = ("Ip.OutNoRoutes", "TcpExt.ListenDrops")
    after = before.replace(taken_at_s=3.0, counters={n: v + 9 * (n in moved) for n, v in runs.COUNTERS.items()})
    assert judge_snapshots(before, after).cause == "no_route_back"
    assert alone("no_route_back", unanswered()).remedies[0].works
