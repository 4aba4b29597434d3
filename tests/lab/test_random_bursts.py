"""Random bursts: what the rules predict of both ends and of every counter is what the kernel does (`random_bursts`)."""

from __future__ import annotations

import os

import pytest
from tests.lab.random_bursts import Report, case, run

CASES = 60
SEED = int(os.environ.get("ESTAB_BURSTS_SEED", "4"))

pytestmark = [pytest.mark.long, pytest.mark.namespace]


@pytest.fixture(scope="module")
def report() -> Report:
    return run(CASES, SEED)


def test_within_one_round_trip_every_figure_is_exact(report: Report) -> None:
    print(report)
    exact = [outcome for outcome in report.outcomes if outcome.exact]
    assert len(report.outcomes) == CASES
    assert len(exact) >= CASES // 2
    assert [str(one) for one in exact if one.differing] == [], f"seed {SEED}"


def test_spread_over_more_every_figure_is_in_its_interval(report: Report) -> None:
    print(report)
    spread = [outcome for outcome in report.outcomes if not outcome.exact]
    assert spread
    assert [str(one) for one in spread if one.differing] == [], f"seed {SEED}"


def test_the_cases_reach_each_rule(report: Report) -> None:
    seen = [outcome.measured for outcome in report.outcomes]
    for name in ("ghosts", "SYN_SENT", "ListenOverflows", "TCPReqQFullDrop", "SyncookiesSent"):
        assert any(one[name] for one in seen), f"no burst with {name}: seed {SEED} shows too little"
    assert {outcome.case.cookies for outcome in report.outcomes} == {0, 1, 2}
    assert any(one["ListenDrops"] > one["ListenOverflows"] + one["TCPReqQFullDrop"] for one in seen)  # the M limit


def test_a_case_is_the_same_every_time() -> None:
    assert [case(SEED, number) for number in range(50)] == [case(SEED, number) for number in range(50)]
