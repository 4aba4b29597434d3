"""A share of the flows is lost for ever: a quarter of the source ports dropped on the way, as nft does it."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.records import RunResult


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.quarter_dead(), "confirmed"),
        (runs.quarter_dead(late=10), "confirmed"),
        (runs.quarter_dead(late=11), "ruled_out"),  # chance lets a second SYN through
        (runs.quarter_dead(later=0), "ruled_out"),  # a ceiling
        (runs.quarter_dead(timeouts=2), "possible"),
        (runs.quarter_dead(timeout_s=0.9), "possible"),
        (runs.quarter_dead(server=runs.remote()), "possible"),
        (runs.quarter_dead().replace(timeline=[]), "not_observed"),
        (runs.quarter_dead().replace(funnel=runs.funnel(400, 0)), "ruled_out"),
        (runs.run(), "ruled_out"),
    ],
)
def test_a_share_that_is_lost_for_ever(run: RunResult, expected: str) -> None:
    assert alone("path_member_dead", run).verdict == expected


def test_it_is_told_from_chance_and_from_a_ceiling() -> None:
    assert judge(runs.quarter_dead()).cause == "path_member_dead"
    assert judge(runs.quarter_dead(late=70)).cause == "path_syn_loss"
    assert judge(runs.quarter_dead(later=0)).cause == "path_flow_table_full"
    impatient = judge(runs.quarter_dead(timeout_s=0.9))
    assert impatient.cause is None
    assert "path_member_dead" in impatient.summary
    assert "path_syn_loss" in impatient.summary
