import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.kernel.rules import RuleInputError, accept_queue
from estab.kernel.rules.kernel_version import parse

NEW = parse("6.18.44")


@pytest.mark.parametrize(
    ("backlog", "somaxconn", "expected"),
    [
        (127, 128, 127), (128, 128, 128), (129, 128, 128),
        (4095, 4096, 4095), (4096, 4096, 4096), (4097, 4096, 4096),
        (0, 128, 0), (5, 0, 0), (-1, 4096, 4096), (-(2**31), 128, 128), (2**31 - 1, 65535, 65535), (8192, 128, 128),
    ],
)  # fmt: skip
def test_rule_1_the_backlog_is_cut_to_somaxconn(backlog: int, somaxconn: int, expected: int) -> None:
    assert accept_queue.granted(backlog, somaxconn) == expected


@given(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_rule_1_bounds(backlog: int, somaxconn: int) -> None:
    granted = accept_queue.granted(backlog, somaxconn)
    assert granted in (backlog, somaxconn)
    assert granted <= accept_queue.granted(backlog + 1, somaxconn)
    assert granted <= accept_queue.granted(backlog, somaxconn + 1)


@pytest.mark.parametrize("limit", [0, 1, 5, 128, 4096])
def test_rule_2_one_more_fits(limit: int) -> None:
    room = accept_queue.fits(limit)
    assert room == limit + 1
    assert [accept_queue.is_full(depth, limit) for depth in (limit, limit + 1, limit + 2)] == [False, True, True]
    assert not accept_queue.is_full(room - 1, limit)
    assert accept_queue.is_full(room, limit)


def test_rule_4_and_7_the_final_ack() -> None:
    ghost = accept_queue.final_ack_refused()
    assert (ghost.refusal, ghost.client, ghost.server) == ("dropped", "ESTABLISHED", "SYN_RECV")
    reset = accept_queue.final_ack_refused(1)
    assert (reset.refusal, reset.counters["EmbryonicRsts"]) == ("reset", 1)
    assert accept_queue.final_ack_refused(1, by_cookie=True) == accept_queue.final_ack_refused(0, by_cookie=True)
    with pytest.raises(RuleInputError, match="tcp_abort_on_overflow is 2"):
        accept_queue.final_ack_refused(2)


def test_rule_2_how_full() -> None:
    assert [accept_queue.fill(depth, 3) for depth in (0, 1, 4, 5)] == [0, 0.25, 1, 1.25]
    assert accept_queue.fill(1, -5) == 1


@pytest.mark.parametrize(
    ("drops", "deferred", "expected"), [(5, None, None), (5, 4, 1), (5, 5, 0), (5, 6, 0), (0, 0, 0)]
)
def test_rule_5_drops_are_not_overflow_alone(drops: int, deferred: int | None, expected: int | None) -> None:
    assert accept_queue.overflow_in_drops(drops, deferred) == expected


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [(7, 9, 2), (9, 9, 0), (2**32 - 2, 3, 5), (0, 2**31 - 1, 2**31 - 1), (0, 2**31, None), (100, 0, None)],
)
def test_drops_wrap_and_a_counter_that_began_anew_tells_nothing(before: int, now: int, expected: int | None) -> None:
    assert accept_queue.drops_since(before, now) == expected


@pytest.mark.parametrize(
    ("arrivals", "accepts", "expected"), [(100.0, 90.0, 89.6), (100.0, 100.0, None), (90.0, 100.0, None)]
)
def test_a_bigger_backlog_only_delays(arrivals: float, accepts: float, expected: float | None) -> None:
    assert accept_queue.delay_of_overflow_s(128, 1024, arrivals, accepts) == expected


@pytest.mark.parametrize(
    "ask", [lambda: accept_queue.fits(-1), lambda: accept_queue.granted(1, -1), lambda: accept_queue.is_full(-1, 0)]
)
def test_refuses_what_no_kernel_has(ask: object) -> None:
    with pytest.raises(RuleInputError, match="is -1: it must be 0 or more"):
        ask()  # type: ignore[operator]
