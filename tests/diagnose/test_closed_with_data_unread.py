"""A program that closes with data unread, told by its kernel's own word for it."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.records import RunResult


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.cut_short(), "confirmed"),
        (runs.cut_short(100, 90), "confirmed"),  # some clients gave up by themselves meanwhile
        (runs.cut_short(100, 89), "ruled_out"),
        (runs.cut_short(100, 0), "ruled_out"),  # resets with nothing unread: SO_LINGER, or somebody between
        (runs.cut_short(3, 3), "confirmed"),
        (runs.cut_short(2, 2), "possible"),
        (runs.cut_short(0, 50), "ruled_out"),  # whose unread data that was, cost nobody a connection
        (runs.cut_short(server=runs.remote()), "not_observed"),
        (runs.reset_by_cookies(), "ruled_out"),
        (runs.run(), "ruled_out"),
        (runs.healthy_churn(), "ruled_out"),
    ],
)
def test_what_was_closed_with_data_unread(run: RunResult, expected: str) -> None:
    assert alone("closed_with_data_unread", run).verdict == expected


def test_what_is_over_a_limit_is_closed_whatever_it_had_sent() -> None:
    """bench: clients write at once, so that a program which closes what is too many has it unread."""
    limited = runs.over_its_limit(
        failures=[runs.failure("read", "ECONNRESET", 250)],
        timeline=[point.replace(failures={"read ECONNRESET": 250}) for point in runs.kept_timeline(150, 250)],
        server=runs.local(deltas=runs.deltas(TCPAbortOnClose=250, Tcp_OutRsts=250)),
    )
    diagnosis = judge(limited)
    assert diagnosis.cause == "server_connection_limit"
    loser = next(suspect for suspect in diagnosis.suspects if suspect.cause == "closed_with_data_unread")
    assert "Explained by server_connection_limit" in loser.summary
