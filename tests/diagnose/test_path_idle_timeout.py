"""Something on the way that forgets what rests: asked in vain after it, while what rests less is answered."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.records import RunResult

ACKNOWLEDGED = runs.ended(10, silent=2).replace(unacknowledged=0)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.forgotten(), "confirmed"),
        (runs.forgotten(reset=True), "confirmed"),
        (runs.forgotten(server=runs.remote()), "confirmed"),  # the client alone sees what is acknowledged
        (runs.forgotten(reset=True, server=runs.remote()), "confirmed"),
        (runs.forgotten(reset=True, sent=3), "confirmed"),
        (runs.forgotten(reset=True, sent=4), "possible"),  # the server's own host had lost them
        (runs.rested(runs.borne(1), ACKNOWLEDGED), "ruled_out"),  # the program does not answer
        (runs.rested(runs.borne(1), ACKNOWLEDGED.replace(unacknowledged=1)), "ruled_out"),
        (runs.rested(runs.ended(10, silent=2)), "possible"),  # no shorter rest was borne
        (runs.rested(runs.ended(1, silent=2).replace(answered=5), runs.ended(10, silent=2)), "possible"),  # all at once
        (runs.rested(runs.borne(1).replace(last_answer_s=9.0), runs.ended(10, silent=2)), "possible"),  # a host is gone
        (runs.rested(runs.borne(1), runs.ended(10, silent=1).replace(rested=1)), "possible"),  # one alone
        (runs.rested(runs.borne(1), runs.ended(10, closed=2)), "ruled_out"),
        (runs.rested(runs.borne(1), runs.ended(10, reset=2)), "ruled_out"),  # by themselves
        (runs.rested(runs.borne(1), runs.ended(10, closed=1, silent=1)), "ruled_out"),
        (runs.rested(runs.borne(1), runs.borne(60)), "ruled_out"),
        (runs.data_lost(), "not_observed"),
        (runs.closed_silent(), "ruled_out"),
        (runs.run(), "ruled_out"),
    ],
)
def test_what_is_forgotten(run: RunResult, expected: str) -> None:
    assert alone("path_idle_timeout", run).verdict == expected


def test_the_rest_explains_the_loss() -> None:
    said = judge(runs.forgotten())
    assert said.cause == "path_idle_timeout"
    assert "after a rest of 10 s or more, while those that rested for 5 s were answered" in said.summary
    assert {s.cause: s.verdict for s in said.suspects}["path_data_loss"] in ("possible", "ruled_out")


def test_what_keeps_a_flow_known_is_below_what_was_borne() -> None:
    accused = judge(runs.forgotten()).accused
    assert accused is not None
    keepalive, pool = accused.remedies[:2]
    assert "TCP_KEEPIDLE=2, TCP_KEEPINTVL=2" in keepalive.command
    assert "5 s at the most" in pool.command
    assert pool.changes[0].value == 5
