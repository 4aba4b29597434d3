import pytest

from estab.kernel.rules import Interval, RuleInputError, time_wait
from estab.kernel.rules.kernel_version import parse

NEW = parse("6.18.44")


@pytest.mark.parametrize(
    ("mode", "loopback", "timestamps", "port_given", "expected"),
    [
        (0, True, True, False, False), (1, False, True, False, True), (1, True, True, False, True),
        (2, False, True, False, False), (2, True, True, False, True), (1, True, False, False, False),
        (0, False, True, True, True), (0, False, False, True, False),
    ],
)  # fmt: skip
def test_rule_22(mode: int, loopback: bool, timestamps: bool, port_given: bool, expected: bool) -> None:
    assert time_wait.reuses(mode, loopback=loopback, timestamps=timestamps, port_given=port_given) is expected


@pytest.mark.parametrize(
    ("release", "delay_ms", "low", "high"),
    [("6.13.12", None, 0, 1), ("6.14.0", None, 1, 1), ("6.14.0", 100, 0.1, 0.1), ("6.18.44", 1, 0.001, 0.001)],
)
def test_rule_22_delay(release: str, delay_ms: int | None, low: float, high: float) -> None:
    assert time_wait.reuse_after_s(parse(release), delay_ms) == Interval(low=low, high=high)


@pytest.mark.parametrize(
    ("age_s", "delay_ms", "expected"),
    [(0.1, None, False), (0.6, None, False), (1.0, None, False), (1.001, None, True), (1.2, None, True),
     (0.099, 100, False), (0.1, 100, False), (0.101, 100, True), (0.2, 100, True)],
)  # fmt: skip
def test_rule_22_gaps(age_s: float, delay_ms: int | None, expected: bool) -> None:
    assert time_wait.port_free_again(age_s, time_wait.reuse_after_s(NEW, delay_ms)) is expected


def test_rule_22_before_6_14_it_depends_on_the_second() -> None:
    wait = time_wait.reuse_after_s(parse("6.12.8"))
    assert [time_wait.port_free_again(age, wait) for age in (0, 0.5, 1.0, 1.001)] == [False, None, None, True]


def test_rule_23_ceilings() -> None:
    plain = time_wait.short_connections_per_second(28232)
    assert plain.high == pytest.approx(470.53, abs=0.01)
    assert plain.low == pytest.approx(28232 / 62.052, abs=0.01)
    fast = time_wait.short_connections_per_second(28232, time_wait.reuse_after_s(NEW, 100))
    assert fast == Interval(low=282320, high=282320)
    assert time_wait.short_connections_per_second(100, time_wait.reuse_after_s(parse("6.1.150"))) == Interval(
        low=100, high=None
    )
    assert time_wait.short_connections_per_second(0) == Interval(low=0, high=0)


@pytest.mark.parametrize("delay_ms", [0, 60_001])
def test_refuses(delay_ms: int) -> None:
    with pytest.raises(RuleInputError):
        time_wait.reuse_after_s(NEW, delay_ms)
    with pytest.raises(RuleInputError):
        time_wait.reuses(3, loopback=True)


@pytest.mark.parametrize(
    ("tcp_rfc1337", "resets", "most"), [(0, 0, 0), (0, 3, 3), (0, None, None), (1, 0, 0), (1, 2, 0), (1, None, 0)]
)
def test_a_reset_ends_a_time_wait_early_but_for_rfc1337(tcp_rfc1337: int, resets: int | None, most: int | None) -> None:
    assert time_wait.most_freed_by_resets(tcp_rfc1337, resets) == most


@pytest.mark.parametrize(("tcp_rfc1337", "resets"), [(2, 0), (-1, 0), (0, -1)])
def test_refuses_what_no_reset_can_be(tcp_rfc1337: int, resets: int) -> None:
    with pytest.raises(RuleInputError):
        time_wait.most_freed_by_resets(tcp_rfc1337, resets)
