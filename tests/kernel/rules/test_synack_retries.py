import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.kernel.rules import RuleInputError, synack_retries
from estab.kernel.rules.kernel_version import parse

KERNEL = parse("6.18.44")


@pytest.mark.parametrize(
    ("retries", "resends", "expires"),
    [
        (0, [], 1),
        (1, [1], 3),
        (2, [1, 3], 7),
        (3, [1, 3, 7], 15),
        (5, [1, 3, 7, 15, 31], 63),
        (7, [1, 3, 7, 15, 31, 63, 127], 247),
    ],
)
def test_rule_6(retries: int, resends: list[float], expires: float) -> None:
    line = synack_retries.timeline(retries, kernel=KERNEL)
    assert (line.resends_s, line.expires_s) == (resends, expires)
    assert expires in line.expires_between_s


@pytest.mark.parametrize(
    ("release", "rto_max_ms", "resends", "expires"),
    [
        ("6.18.44", 1000, [1, 3, 7], 15),  # measured: 15.3 to 15.5 s
        ("6.19.0", 1000, [1, 2, 3], 4),  # measured on 6.19, 7.0, 7.1 and 7.2: 4.1 to 4.2 s
        ("7.2.7", 120_000, [1, 3, 7], 15),
        ("7.2.7", 3000, [1, 3, 6], 9),
    ],
)
def test_rule_6_from_6_19_on_tcp_rto_max_ms_caps_it(
    release: str, rto_max_ms: int, resends: list[float], expires: float
) -> None:
    line = synack_retries.timeline(3, rto_max_ms=rto_max_ms, kernel=parse(release))
    assert (line.resends_s, line.expires_s) == (resends, expires)


@pytest.mark.parametrize(
    ("queued", "young", "limit", "expected"),
    [
        (4, 0, 5, 5), (5, 0, 5, 2),  # 2 * qlen against max(8, B)
        (64, 0, 128, 5), (65, 0, 128, 2),
        (65, 65, 128, 5), (65, 33, 128, 5), (65, 32, 128, 4), (65, 16, 128, 3), (65, 8, 128, 2), (65, 1, 128, 2),
    ],
)  # fmt: skip
def test_rule_6_a_crowded_queue_prunes(queued: int, young: int, limit: int, expected: int) -> None:
    assert synack_retries.effective_retries(5, queued, young, limit) == expected


@pytest.mark.parametrize(
    ("seconds", "timeouts"),
    [(-1, 0), (0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (7, 3), (8, 4), (63, 6), (64, 7), (127, 7), (128, 8)],
)
def test_rule_8(seconds: int, timeouts: int) -> None:
    assert synack_retries.defer_accept_timeouts(seconds) == timeouts


@given(st.integers(0, 255), st.integers(0, 5000), st.integers(0, 5000), st.data())
def test_pruning_never_adds_retries(retries: int, queued: int, limit: int, data: st.DataObject) -> None:
    young = data.draw(st.integers(0, queued))
    found = synack_retries.effective_retries(retries, queued, young, limit)
    assert min(retries, 2) <= found <= retries


@pytest.mark.parametrize("retries", [-1, 256])
def test_refuses(retries: int) -> None:
    with pytest.raises(RuleInputError):
        synack_retries.timeline(retries, kernel=KERNEL)
