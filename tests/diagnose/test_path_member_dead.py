"""A share of the flows is lost for ever: a quarter of the source ports dropped on the way, as nft does it."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone
from tests.diagnose.dealt import dealt

from estab.diagnose.judge import judge
from estab.diagnose.turns import taken_in_turn
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


def test_a_balancer_that_deals_syns_out_in_turn_is_told_from_chance() -> None:
    """Each SYN that is sent again has a new turn: most come through, and chance would leave as many."""
    in_turn = [judge(dealt(3, seed)) for seed in range(20)]
    assert sum(said.cause == "path_member_dead" for said in in_turn) >= 19
    assert "each third SYN was lost" in in_turn[0].summary
    by_chance = [judge(dealt(3, seed, by_chance=True)) for seed in range(40)]
    assert {said.cause for said in by_chance} == {"path_syn_loss"}


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (dealt(4, 1, per_s=90.0), True),
        (dealt(2, 2, per_s=30.0, seconds=5.0), True),
        (dealt(3, 3, seconds=2.0), False),  # too few windows
        (dealt(3, 4, timeout_s=0.9), False),  # no SYN is sent again
        (dealt(3, 5, timeline=[]), False),
        (runs.lossy(), False),
        (runs.run(), False),
    ],
)
def test_turns(run: RunResult, told: bool) -> None:
    assert (taken_in_turn(run) is not None) is told


def test_from_the_client_alone_turns_are_possible() -> None:
    assert alone("path_member_dead", dealt(3, 6, server=runs.remote())).verdict == "possible"
