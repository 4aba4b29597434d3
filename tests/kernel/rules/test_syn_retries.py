import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.kernel.rules import RuleInputError, syn_retries, timer_wheel
from estab.kernel.rules.kernel_version import parse


@pytest.mark.parametrize(
    ("retries", "linear", "retransmits", "total"),
    [
        (1, 0, [1], 3), (2, 0, [1, 3], 7), (3, 0, [1, 3, 7], 15), (6, 0, [1, 3, 7, 15, 31, 63], 127),
        (1, 4, [1, 2], 3), (2, 4, [1, 2, 3, 4, 5], 7), (3, 4, [1, 2, 3, 4, 5, 7, 11], 19),
        (4, 4, [1, 2, 3, 4, 5, 7, 11, 19], 35), (5, 4, [1, 2, 3, 4, 5, 7, 11, 19, 35], 67),
        (6, 4, [1, 2, 3, 4, 5, 7, 11, 19, 35, 67], 131),
        (7, 0, [1, 3, 7, 15, 31, 63, 127], 247), (8, 0, [1, 3, 7, 15, 31, 63, 127, 247], 367),
    ],
)  # fmt: skip
def test_rule_17(retries: int, linear: int, retransmits: list[float], total: float) -> None:
    line = syn_retries.timeline(retries, linear)
    assert line.retransmits_s == retransmits
    assert line.gives_up_s == total
    assert total in line.gives_up_between_s


@pytest.mark.parametrize(
    ("measured_s", "retries", "linear", "hz"), [(135.1, 6, 4, 250), (128.755, 6, 0, 250), (128.755, 6, 0, 1000)]
)
def test_rule_17_what_was_measured_lies_within(measured_s: float, retries: int, linear: int, hz: int) -> None:
    assert measured_s in syn_retries.timeline(retries, linear, hz=hz).gives_up_between_s


@pytest.mark.parametrize(
    ("user_timeout_ms", "retries", "linear", "total"),
    [
        (1, 6, 4, 1), (300, 6, 4, 1), (999, 6, 4, 1), (1000, 6, 4, 1), (1001, 6, 4, 1.001), (1500, 6, 4, 1.5),
        (4000, 1, 4, 4),  # longer than the 3 s without it
        (60_000, 1, 4, 7), (60_000, 1, 0, 3), (10_000, 6, 0, 10),
    ],
)  # fmt: skip
def test_rule_18(user_timeout_ms: int, retries: int, linear: int, total: float) -> None:
    assert syn_retries.timeline(retries, linear, user_timeout_ms=user_timeout_ms).gives_up_s == pytest.approx(total)


@pytest.mark.parametrize(
    ("timeout_s", "expected"), [(0.3, False), (0.5, False), (1.0, False), (1.001, True), (3, True)]
)
def test_rule_18_short_client_timeouts(timeout_s: float, expected: bool) -> None:
    assert syn_retries.sees_retransmission(timeout_s) is expected


@pytest.mark.parametrize(
    ("rto_max_ms", "retries", "total"), [(1000, 2, 3), (2000, 3, 7), (4000, 6, 23), (120_000, 6, 127), (60_000, 6, 123)]
)
def test_rule_19_rto_max(rto_max_ms: int, retries: int, total: float) -> None:
    assert syn_retries.timeline(retries, 0, rto_max_ms).gives_up_s == total


@pytest.mark.parametrize(("linear", "expected"), [(0, [0, 1, 3, 7, 15]), (4, [0, 1, 2, 3, 4]), (1, [0, 1, 2, 4, 8])])
def test_rule_19_bands(linear: int, expected: list[float]) -> None:
    assert [band.between_s.low for band in syn_retries.bands(4, linear)] == expected


@pytest.mark.parametrize(
    ("latency_s", "linear", "expected"),
    [(0.0, 0, 0), (0.999, 0, 0), (1.0, 0, 1), (1.036, 0, 1), (2.999, 0, 1), (3.0, 0, 2), (7.2, 0, 3), (63.1, 0, 6),
     (2.07, 4, 2), (3.1, 4, 3), (7.01, 4, 6)],
)  # fmt: skip
def test_rule_19_latency_tells_the_retransmits(latency_s: float, linear: int, expected: int) -> None:
    assert syn_retries.retransmits_behind(latency_s, linear) == expected


@given(st.integers(1, 20), st.integers(0, 8), st.sampled_from([100, 250, 300, 1000]))
def test_the_timeline_rises_and_intervals_hold_it(retries: int, linear: int, hz: int) -> None:
    line = syn_retries.timeline(retries, linear, hz=hz)
    times = [*line.retransmits_s, line.gives_up_s]
    assert times == sorted(set(times))
    assert len(line.retransmits_s) <= retries + linear
    assert all(time in span for time, span in zip(line.retransmits_s, line.retransmits_between_s, strict=True))
    more = syn_retries.timeline(retries + 1, linear, hz=hz)
    assert more.gives_up_s > line.gives_up_s


@given(st.integers(0, 6), st.integers(0, 4), st.floats(0, 0.5))
def test_a_band_is_read_back_as_its_retransmits(number: int, linear: int, rtt_s: float) -> None:
    band = syn_retries.bands(number, linear, rtt_s=rtt_s)[number]
    assert band.between_s.high is not None
    assert syn_retries.retransmits_behind(band.between_s.low + 1e-9, linear, rtt_s=rtt_s) == number
    assert syn_retries.retransmits_behind(band.between_s.high, linear, rtt_s=rtt_s) == number


@pytest.mark.parametrize(
    ("wait_s", "hz", "expected_ms"),
    [
        (0.1, 250, 4), (0.248, 250, 4), (0.252, 250, 32), (1, 250, 32), (2, 250, 32), (2.016, 250, 256), (4, 250, 256),
        (16, 250, 256), (32, 250, 2048), (64, 250, 2048), (128, 250, 2048), (130, 250, 16384), (1, 1000, 64),
        (32, 1000, 512), (64, 1000, 4096), (1, 100, 80),
    ],
)  # fmt: skip
def test_rule_17_granularity_of_the_timer_wheel(wait_s: float, hz: int, expected_ms: float) -> None:
    assert timer_wheel.granularity_s(wait_s, hz) * 1000 == pytest.approx(expected_ms)


def test_before_4_8_there_was_no_wheel_rounding() -> None:
    old, new = (timer_wheel.wait(64, 250, parse(release)).high for release in ("4.7.10", "4.8.0"))
    assert old is not None
    assert new is not None
    assert old < 64.3
    assert new > 66


@pytest.mark.parametrize(("release", "expected"), [("6.4.16", 0), ("6.5.0", 4), ("6.6.1", 4)])
def test_rule_17_linear_timeouts_by_kernel(release: str, expected: int) -> None:
    assert syn_retries.default_linear_timeouts(parse(release)) == expected


@pytest.mark.parametrize(
    "arguments", [{"syn_retries": 0}, {"syn_retries": 128}, {"rto_max_ms": 999}, {"hz": 11}, {"user_timeout_ms": -1}]
)
def test_refuses(arguments: dict[str, int]) -> None:
    with pytest.raises(RuleInputError):
        syn_retries.timeline(**arguments)
