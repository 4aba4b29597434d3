"""What came and what was accepted, of a server that a few looks showed: by what its clients met."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.diagnose import runs

from estab.diagnose.advice.backlog import backlog_remedies
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.rates import QueueRates, queue_rates
from estab.records import Listener, RunResult, ServerLook

TIMEOUT_S = 1.0


def seen_by_looks(lost_by: Callable[[float], int], times_s: list[float] | None = None) -> RunResult:
    """60 connects a second come, 20 get in; `lost_by`: how many of those begun by a time were given up 1 s later."""
    points = [
        runs.point(
            t_s,
            attempted=round(60 * t_s),
            connected=round(20 * t_s),
            failures={"connect own_timeout": lost_by(t_s - TIMEOUT_S)} if t_s > TIMEOUT_S else None,
        )
        for t_s in times_s or [tenth / 10 for tenth in range(51)]
    ]
    looks = [ServerLook(t_s=0.0, queue_depth=0), ServerLook(t_s=5.5, queue_depth=0)]
    config = {"timeout_s": TIMEOUT_S, "rate_per_s": 60.0}
    return runs.run("churn", config=config, timeline=points, server=runs.local(looks=looks))


def steadily(begun_s: float) -> int:
    return round(40 * begun_s)


def in_pauses(begun_s: float) -> int:
    """40 in a tenth of each second."""
    return 40 * int(begun_s + 0.9)


def test_what_is_lost_all_the_time_tells_both_rates() -> None:
    rates = queue_rates(seen_by_looks(steadily))
    assert rates == QueueRates(pytest.approx(3.8), pytest.approx(60, rel=0.02), pytest.approx(20, rel=0.02))


def test_a_time_that_was_not_sampled_is_no_time_without_losses() -> None:
    times_s = [tenth / 10 for tenth in range(51) if not 25 < tenth < 31]
    assert queue_rates(seen_by_looks(steadily, times_s)) is not None


@pytest.mark.parametrize("lost_by", [in_pauses, lambda _begun_s: 0])
def test_a_queue_that_was_emptied_in_between_tells_none(lost_by: Callable[[float], int]) -> None:
    assert queue_rates(seen_by_looks(lost_by)) is None


def test_without_a_timeout_nothing_is_given_up() -> None:
    run = seen_by_looks(steadily)
    assert queue_rates(run.replace(config={"rate_per_s": 60.0})) is None


def two_looks(depths: tuple[int, int], drops: int, others: int = 0, limit: int = 16) -> RunResult:
    """A host without a run of ours: one listener, 2 s apart; 20 were opened, and `drops` packets turned away."""
    before, after = (
        runs.snapshot(
            taken_at_s=at_s,
            listeners=[
                Listener(family=4, address="0.0.0.0", port=5000, depth=depth, limit=limit, drops=dropped, inode=4)
            ],
            states={"LISTEN": 1 + others},
            counters={"Tcp.PassiveOpens": opened},
        )
        for at_s, depth, dropped, opened in ((10.0, depths[0], 7, 100), (12.0, depths[1], 7 + drops, 120))
    )
    snapshots = Snapshots(before, after)
    return snapshots.run(snapshots.fullest)


def test_a_queue_that_is_full_at_both_looks_tells_what_came() -> None:
    expected = QueueRates(2.0, arrivals_per_s=50.0, accepts_per_s=10.0, never_emptied=False)
    assert queue_rates(two_looks((17, 17), 80)) == expected
    assert queue_rates(two_looks((13, 13), 80)) == expected


@pytest.mark.parametrize(("depth", "never_emptied"), [(20, False), (21, True)])
def test_who_waited_last_at_the_first_look_waits_still_where_fewer_were_accepted(
    depth: int, never_emptied: bool
) -> None:
    """20 were accepted in between."""
    run = two_looks((depth, depth), 80, limit=20)
    rates = queue_rates(run)
    assert rates is not None
    assert rates.never_emptied is never_emptied
    longer = [remedy for remedy in backlog_remedies(run) if remedy.command.startswith("listen(")]
    assert [remedy.works for remedy in longer] == [not never_emptied]
    assert all("delays the overflow by 2.7 s" in remedy.why for remedy in longer)


@pytest.mark.parametrize(
    "run", [two_looks((12, 17), 80), two_looks((17, 12), 80), two_looks((17, 17), 0), two_looks((17, 17), 80, others=1)]
)
def test_otherwise_it_does_not(run: RunResult) -> None:
    assert queue_rates(run) is None
