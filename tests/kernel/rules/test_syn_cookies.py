import pytest

from estab.kernel.rules import RuleInputError, syn_cookies


@pytest.mark.parametrize("index", range(4))
def test_rule_13_a_segment_passes_up_to_its_mss_index(index: int) -> None:
    assert [syn_cookies.cookie_valid(shift, index) for shift in range(index + 3)] == [True] * (index + 1) + [False] * 2


@pytest.mark.parametrize(("shift", "index"), [(-1, 3), (0, -1), (0, 4)])
def test_refuses_what_cannot_be(shift: int, index: int) -> None:
    with pytest.raises(RuleInputError):
        syn_cookies.cookie_valid(shift, index)
