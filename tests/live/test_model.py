"""The model: snapshots in, rates and judgements out."""

from __future__ import annotations

import math

import pytest
from tests.live.stories import START_S, counted, listener, snapshot, story

from estab.live import rates
from estab.live.judgement import ListenerFacts, judge
from estab.live.model import Model, rounds
from estab.live.view import PUT_OFF, HostView
from estab.records import Conntrack, Process, Snapshot, Unobserved


def fed(*snapshots: Snapshot) -> HostView:
    model = Model()
    for taken in snapshots:
        model.feed([taken])
    assert model.view is not None
    return model.view


@pytest.mark.parametrize(
    ("before", "after", "change"), [(3, 10, 7), (3, 3, 0), (10, 3, None), (None, 3, None), (3, None, None)]
)
def test_rose(before: int | None, after: int | None, change: int | None) -> None:
    assert rates.rose(before, after) == change


@pytest.mark.parametrize(
    ("before", "after", "seconds"),
    [(1.0, 3.5, 2.5), (None, 1.0, None), (3.0, 3.0, None), (3.0, 1.0, None), (math.nan, 1.0, None)],
)
def test_elapsed(before: float | None, after: float, seconds: float | None) -> None:
    assert rates.elapsed_s(before, after) == seconds


@pytest.mark.parametrize(
    ("points", "slope"),
    [([(0, 0), (1, 3), (2, 6)], 3), ([(0, 5), (1, 5)], 0), ([(4, 8), (2, 9)], -0.5), ([(1, 1)], None), ([], None)],
)
def test_growth(points: list[tuple[float, float]], slope: float | None) -> None:
    assert rates.growth_per_s(points) == (pytest.approx(slope) if slope is not None else None)


def test_growth_at_one_moment_is_not_known() -> None:
    assert rates.growth_per_s([(1, 1), (1, 5)]) is None


OUT = Process(pid=7, name="app", fds=64, nofile_soft=64)


@pytest.mark.parametrize(
    ("facts", "word", "says"),
    [
        (ListenerFacts(0, 16), "ok", "nothing waits"),
        (ListenerFacts(17, 16, is_unix=True), "FULL", "full (17 fit): whoever connects next gets EAGAIN, or waits"),
        (ListenerFacts(1, 16), "waiting", "1 connection to be accepted"),
        (ListenerFacts(9, 16, growth_per_s=2.0), "filling", "filling: at this rate full in 4 s"),
        (ListenerFacts(16, 16, growth_per_s=4.0), "filling", "filling: at this rate full in less than 1 s"),
        (ListenerFacts(9, 16, growth_per_s=0.1), "waiting", "9 connections to be accepted"),
        (ListenerFacts(9, 16, growth_per_s=-2.0), "waiting", "9 connections to be accepted"),
        (ListenerFacts(0, 16, growth_per_s=2.0), "ok", "nothing waits"),
        (ListenerFacts(16, 16), "waiting", "16 connections to be accepted"),
        (ListenerFacts(17, 16), "FULL", "full (17 fit): whoever connects next is turned away"),
        (ListenerFacts(17, 16, drops_per_s=12), "OVERFLOW", "full (17 fit): 12 packets a second are turned away"),
        (
            ListenerFacts(3, 16, 0.5, overflows=True),
            "OVERFLOW",
            "0.5 packets a second dropped: the queue was full between",
        ),
        (ListenerFacts(3, 16, 0.5, overflows=False), "drops", "without an overflow"),
        (ListenerFacts(3, 16, unmoved_s=4.9), "waiting", "3 connections"),
        (ListenerFacts(3, 16, unmoved_s=5.0), "stuck", "3 wait and none was accepted for 5 s"),
        (
            ListenerFacts(17, 16, 9.0, owners=(OUT,)),
            "no fds",
            "app (7) has all 64 descriptors in use: it can't accept, 17 wait",
        ),
        (ListenerFacts(0, 16, owners=(OUT.replace(fds=63),)), "ok", "nothing waits"),
        (ListenerFacts(0, 16, owners=(OUT.replace(fds=None),)), "ok", "nothing waits"),
        (ListenerFacts(1, 0), "FULL", "full (1 fits)"),
        (ListenerFacts(0, -1), "ok", "nothing waits"),
    ],
)
def test_judgement(facts: ListenerFacts, word: str, says: str) -> None:
    judgement = judge(facts)
    assert judgement.word == word
    assert says in judgement.says


def test_a_queue_that_fills_and_overflows() -> None:
    model, words = Model(), []
    for taken in story(9):
        view = model.feed([taken])
        words.append(next(row.judgement.word for row in view.rows if row.port == 8080))
    assert words == ["ok", *["filling"] * 5, "OVERFLOW", "OVERFLOW", "OVERFLOW"]
    row = next(row for row in view.rows if row.port == 8080)
    assert (row.depth, row.limit, row.worst, row.drops_per_s) == (17, 16, 17, 12.0)
    assert view.verdict is not None
    assert view.verdict.cause == "accept_queue_overflow"
    assert [sample.depth for sample in model.history(row.key)] == [0, 3, 6, 9, 12, 15, 17, 17, 17]
    alone = model.diagnosis_of(row.key)
    assert alone is not None
    assert alone.cause == "accept_queue_overflow"
    idle = next(row for row in view.rows if row.port == 5432)
    other = model.diagnosis_of(idle.key)
    assert other is not None
    assert other.cause is None


def test_one_look_has_no_rates() -> None:
    view = fed(snapshot(0, listener(80, drops=900), overflows=900))
    assert view.totals.rates is None
    assert view.rows[0].drops_per_s is None
    assert view.rows[0].judgement.word == "ok"
    assert view.interval_s is None


def test_rates_and_what_was_not_read() -> None:
    view = fed(snapshot(0, arrived=10), snapshot(2, arrived=50, sockstat=None, conntrack=None))
    assert view.totals.rates is not None
    assert view.totals.rates["Tcp.PassiveOpens"] == 20
    assert "TcpExt.SyncookiesSent" not in view.totals.rates
    assert (view.totals.inuse, view.totals.time_wait, view.totals.conntrack) == (None, None, None)
    assert fed(snapshot(0), snapshot(1, counters=None)).totals.rates is None


def test_time_that_goes_backwards_gives_no_rate() -> None:
    view = fed(snapshot(5, listener(80, drops=1)), snapshot(3, listener(80, drops=9)))
    assert view.rows[0].drops_per_s is None
    assert view.totals.rates is None


def test_what_is_counted_seldom_stays_and_ages() -> None:
    view = fed(counted(snapshot(0)), snapshot(1), snapshot(3))
    assert view.totals.states is not None
    assert view.totals.states["ESTAB"] == 412
    assert view.totals.states_age_s == 3
    assert [(target.use.port, target.age_s) for target in view.targets] == [(5432, 3), (6379, 3)]
    assert view.targets[0].fill == pytest.approx(24_500 / 28_229)


def test_the_judge_is_asked_about_the_fullest_ports() -> None:
    full = counted(snapshot(0))
    assert full.targets is not None
    worst = full.targets[0].replace(worst_source_used=28_229, used=28_229, time_wait=0)
    view = fed(full.replace(targets=[worst], port_use=None), snapshot(1))
    assert view.verdict is not None
    assert view.verdict.cause == "ephemeral_port_exhaustion"


def test_a_listener_that_closes_is_remembered_for_a_while() -> None:
    model = Model()
    key = model.feed([snapshot(0, listener(80, 5))]).rows[0].key
    assert not model.feed([snapshot(60)]).rows
    assert model.last_row(key) is not None
    assert model.diagnosis_of(key) is None
    model.feed([snapshot(121)])
    assert model.last_row(key) is None
    assert not model.history(key)


def test_namespaces_are_kept_apart_and_summed() -> None:
    model = Model()
    for at in (0, 1):
        view = model.feed(
            [
                snapshot(at, listener(80, 1), arrived=10 * at),
                snapshot(at, listener(80, 2), arrived=5 * at, netns="box", inode=2),
            ]
        )
    assert [(row.netns, row.depth) for row in view.rows] == [("", 1), ("box", 2)]
    assert view.totals.rates is not None
    assert view.totals.rates["Tcp.PassiveOpens"] == 15
    assert view.totals.inuse == 240
    assert len(model.feed([snapshot(2)]).namespaces) == 1


def test_conntrack_drops() -> None:
    table = Conntrack(count=5, maximum=10, drop=1, early_drop=0, insert_failed=2)
    view = fed(snapshot(0, conntrack=table), snapshot(2, conntrack=table.replace(drop=4, insert_failed=3)))
    assert view.totals.conntrack_drops_per_s == 2


def test_less_names_what_is_missing_once() -> None:
    gap = Unobserved(field="listeners.owners", why="run as root")
    put_off = Unobserved(field="census", why=PUT_OFF)
    assert fed(snapshot(0, unobserved=[gap, gap, put_off])).unobserved == [("listeners.owners", "run as root")]


def test_rounds_of_a_recording() -> None:
    mine, other = snapshot(0), snapshot(0, netns="box", inode=2)
    assert [len(group) for group in rounds([mine, other, mine, other, mine])] == [2, 2, 1]
    assert rounds([]) == []


def test_the_same_rounds_give_the_same_view() -> None:
    assert fed(*story()) == fed(*story())
    assert fed(*story()).at_s == START_S + 9


def test_a_round_without_a_snapshot_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Model().feed([])


@pytest.mark.parametrize("moment", [math.nan, math.inf, -1e300])
def test_moments_that_are_none(moment: float) -> None:
    view = fed(snapshot(0, listener(80, 3)), snapshot(0, listener(80, 4)).replace(taken_at_s=moment), snapshot(1))
    assert view.verdict is not None
