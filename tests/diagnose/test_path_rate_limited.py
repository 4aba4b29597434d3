"""So many a second get through: told from a share, which scatters as what is offered does."""

from __future__ import annotations

import random

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone
from tests.diagnose.lost_syns import TURNED_AWAY

from estab.diagnose.judge import judge
from estab.diagnose.successes import steady_rate
from estab.records import RunResult

SHARE = [1, 4, 0, 3, 1, 5, 2, 1, 0, 3]  # a fifth of what is begun, by chance


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.rate_limited(), "confirmed"),
        (runs.rate_limited(per_s=55.0, burst=30), "confirmed"),
        (runs.rate_limited(per_s=12.0, burst=5), "confirmed"),
        (runs.rate_limited(per_s=90.0), "not_observed"),  # next to all get through
        (runs.rate_limited(per_s=3.0), "not_observed"),  # too few to see how even they come
        (runs.rate_limited(through=SHARE), "ruled_out"),
        (runs.rate_limited(begun=[10]), "possible"),  # as even itself
        (runs.rate_limited(server=runs.remote()), "possible"),
        (runs.rate_limited(server=TURNED_AWAY), "ruled_out"),
        (runs.rate_limited(failures=[]), "ruled_out"),
        (runs.rate_limited(timeline=[]), "not_observed"),
        (runs.quarter_dead(), "not_observed"),
        (runs.run(), "ruled_out"),
    ],
)
def test_a_rate(run: RunResult, expected: str) -> None:
    assert alone("path_rate_limited", run).verdict == expected


def test_neither_a_table_nor_loss_is_blamed_for_it() -> None:
    assert judge(runs.rate_limited()).cause == "path_rate_limited"
    assert judge(runs.rate_limited(late=30)).cause == "path_rate_limited"
    few = judge(runs.rate_limited(per_s=6.0, begun=[4, 27, 9, 2, 6, 24, 8, 1, 3, 16]))
    assert few.cause != "path_flow_table_full"


def test_a_share_by_chance_is_seldom_taken_for_a_rate() -> None:
    chance = random.Random(7)
    taken = 0
    for _ in range(300):
        begun = [sum(chance.random() < 0.1 for _ in range(100)) for _ in range(40)]
        through = [sum(chance.random() < 0.3 for _ in range(count)) for count in begun]
        rate = steady_rate(runs.rate_limited(burst=0, begun=begun, through=through).timeline)
        taken += rate is not None and rate.follows_no_share
    assert taken <= 2, taken
