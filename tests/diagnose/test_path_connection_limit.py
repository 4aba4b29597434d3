"""So many get through and each later one is refused by somebody between: told from a rate and from a restart."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.records import LateConnect, RunResult


def late(at_s: float = 2.0, errno: str | None = "ECONNREFUSED") -> LateConnect:
    return LateConnect(at_s=at_s, open=150, errno=errno)


GONE = runs.local(runs.watch(), deltas=runs.deltas(Tcp_OutRsts=0), after=runs.snapshot(listeners=[]))


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.refused_beyond(), "confirmed"),
        (runs.refused_beyond(late_connect=late(1.1)), "confirmed"),
        (runs.refused_beyond(late_connect=late(1.0)), "possible"),  # it may be a rate: 0.9 s after the last
        (runs.refused_beyond(late_connect=None), "possible"),
        (runs.refused_beyond(late_connect=late(errno=None)), "ruled_out"),  # a rate, or a listener that came back
        (runs.refused_beyond(397, 3), "confirmed"),
        (runs.refused_beyond(398, 2), "possible"),
        (runs.refused_beyond(0, 400), "ruled_out"),
        (runs.refused_beyond(arrival_order=None), "not_observed"),
        (runs.refused_beyond(arrival_order=runs.in_order(150, 250, 0.5)), "ruled_out"),  # by chance
        (runs.refused_beyond(arrival_order=runs.in_order(150, 250, 0.0)), "ruled_out"),  # a listener that came late
        (runs.refused_beyond(arrival_order=runs.in_order(150, 250, 0.79)), "possible"),
        (runs.refused_beyond(resets=126), "ruled_out"),  # the server's own host did
        (runs.refused_beyond(resets=125), "confirmed"),
        (runs.refused_beyond(resets=250, icmp=250), "confirmed"),
        (runs.refused_beyond(server=GONE), "ruled_out"),
        (runs.refused_beyond(server=runs.remote()), "possible"),
        (runs.refused_beyond(server=runs.local(runs.watch())), "confirmed"),
        (runs.own_reject(), "ruled_out"),
        (runs.table_full(arrival_order=runs.in_order(250, 150)), "possible"),
        (runs.table_full(arrival_order=runs.in_order(250, 150, 0.5)), "ruled_out"),
        (runs.table_full(), "not_observed"),
        (runs.overflowed(arrival_order=runs.in_order(340, 60)), "ruled_out"),  # what failed had arrived
        (runs.refused(), "ruled_out"),
        (runs.run(), "ruled_out"),
        (runs.healthy_churn(), "ruled_out"),
    ],
)
def test_a_number(run: RunResult, expected: str) -> None:
    assert alone("path_connection_limit", run).verdict == expected


def test_it_is_named_before_a_filter_and_a_listener_that_restarts() -> None:
    named = judge(runs.refused_beyond())
    assert named.cause == "path_connection_limit"
    assert named.side == "path"
    beside = {suspect.cause for suspect in named.suspects if suspect.verdict in ("confirmed", "possible")}
    assert beside <= {"path_connection_limit", "path_filtered", "nobody_listening"}


def test_what_is_lost_stays_the_full_tables() -> None:
    named = judge(runs.table_full(arrival_order=runs.in_order(250, 150)))
    assert named.cause == "path_flow_table_full"
    assert {suspect.cause: suspect.verdict for suspect in named.suspects}["path_connection_limit"] == "possible"
