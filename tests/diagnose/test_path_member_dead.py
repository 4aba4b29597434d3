"""A share of the flows is lost for ever: a quarter of the source ports dropped on the way, as nft does it."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.records import RunResult, ServerSide


def quarter(
    late: int = 0, timeouts: int = 100, later: int = 240, timeout_s: float = 3.0, server: ServerSide | None = None
) -> RunResult:
    """400 connects over 4 s; the first failure shows after 60 of them had succeeded."""
    untouched = runs.watch(drops=0, accepted_at_end=0)
    return runs.run(
        "churn",
        config={"timeout_s": timeout_s, "rate_per_s": 100},
        funnel=runs.funnel(400, 60 + later),
        failures=[runs.failure("connect", "own_timeout", timeouts)],
        syn_retransmits={"0": 60 + later - late, "1": late, "2": timeouts if timeout_s > 1 else 0},
        client={"deltas": runs.deltas(TCPSynRetrans=2 * timeouts if timeout_s > 1 else 0)},
        server=runs.local(untouched, deltas=runs.deltas(Tcp_PassiveOpens=60 + later)) if server is None else server,
        timeline=[
            runs.point(1.0, attempted=100, connected=60),
            runs.point(1.1, attempted=110, connected=60, failed=1),
            runs.point(4.0, attempted=400, connected=60 + later, failed=timeouts),
        ],
    )


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (quarter(), "confirmed"),
        (quarter(late=10), "confirmed"),
        (quarter(late=11), "ruled_out"),  # chance lets a second SYN through
        (quarter(later=0), "ruled_out"),  # a ceiling
        (quarter(timeouts=2), "possible"),
        (quarter(timeout_s=0.9), "possible"),
        (quarter(server=runs.remote()), "possible"),
        (quarter().replace(timeline=[]), "not_observed"),
        (quarter().replace(funnel=runs.funnel(400, 0)), "ruled_out"),
        (runs.run(), "ruled_out"),
    ],
)
def test_a_share_that_is_lost_for_ever(run: RunResult, expected: str) -> None:
    assert alone("path_member_dead", run).verdict == expected


def test_it_is_told_from_chance_and_from_a_ceiling() -> None:
    assert judge(quarter()).cause == "path_member_dead"
    assert judge(quarter(late=70)).cause == "path_syn_loss"
    assert judge(quarter(later=0)).cause == "path_flow_table_full"
    impatient = judge(quarter(timeout_s=0.9))
    assert impatient.cause is None
    assert "path_member_dead" in impatient.summary
    assert "path_syn_loss" in impatient.summary
