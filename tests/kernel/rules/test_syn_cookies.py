import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.kernel.rules import RuleInputError, syn_cookies
from estab.kernel.rules.kernel_version import parse

NEW = parse("6.18.44")


@pytest.mark.parametrize("index", range(4))
def test_rule_13_a_segment_passes_up_to_its_mss_index(index: int) -> None:
    assert [syn_cookies.cookie_valid(shift, index) for shift in range(index + 3)] == [True] * (index + 1) + [False] * 2


@pytest.mark.parametrize(
    ("segments", "expected"),
    [((), False), ((1400,), False), ((1400, 1400), True), ((90, 90), True), ((1,), False), ((1, 1), False),
     ((1, 1, 1, 1), False), ((1, 1, 1, 1, 1), True), ((3, 1), False), ((3, 1, 1), True), ((4, 1), True)],
)  # fmt: skip
def test_rule_13_the_second_segment(segments: tuple[int, ...], expected: bool) -> None:
    assert syn_cookies.is_reset(segments) is expected


@pytest.mark.parametrize(
    ("connects", "cookies", "segments", "expected"),
    [
        # connected, half_open, cookies, not_connected, in_queue, ghosts, reset, served_later
        (400, 1, (), (400, 129, 271, 0, 129, 271, 0, 400)),
        (400, 1, (1400, 1400), (400, 129, 271, 0, 129, 271, 271, 129)),
        (400, 2, (1400, 1400), (400, 0, 400, 0, 129, 271, 271, 129)),
        (400, 0, (1400, 1400), (129, 129, 0, 271, 129, 0, 0, 400)),
        (128, 1, (9, 9), (128, 128, 0, 0, 128, 0, 0, 128)),
        (129, 1, (9, 9), (129, 129, 0, 0, 129, 0, 0, 129)),
        (130, 1, (9, 9), (130, 129, 1, 0, 129, 1, 1, 129)),
        (130, 1, (9,), (130, 129, 1, 0, 129, 1, 0, 130)),
    ],
)
def test_rules_15_and_16(connects: int, cookies: int, segments: tuple[int, ...], expected: tuple[int, ...]) -> None:
    names = ("connected", "half_open", "cookies", "not_connected", "in_queue", "ghosts", "reset", "served_later")
    found = syn_cookies.fates(connects, 128, cookies, 2048, NEW, segment_bytes=segments)
    assert found is not None
    assert tuple(getattr(found, name) for name in names) == expected


@given(st.integers(0, 3000), st.integers(0, 2000), st.sampled_from([0, 1, 2]), st.booleans())
def test_nobody_is_lost(connects: int, limit: int, cookies: int, writes: bool) -> None:
    found = syn_cookies.fates(connects, limit, cookies, 4096, NEW, segment_bytes=(9, 9) if writes else ())
    assert found is not None
    assert found.connected + found.not_connected == connects
    assert found.in_queue + found.ghosts == found.connected
    assert found.reset + found.served_later == connects
    assert found.reset == 0 or cookies > 0


def test_unknown_where_the_kernel_is() -> None:
    assert syn_cookies.fates(10, 5, 1, 128, parse("6.1.0-18-amd64")) is None


@pytest.mark.parametrize("segments", [(4, 0, 0), (0, 1)])
def test_refuses_empty_segments_that_matter(segments: tuple[int, ...]) -> None:
    if segments[0]:
        assert syn_cookies.is_reset(segments)
        return
    with pytest.raises(RuleInputError):
        syn_cookies.is_reset(segments)
