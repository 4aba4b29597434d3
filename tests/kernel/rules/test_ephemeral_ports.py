import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.kernel.rules import Interval, RuleInputError, ephemeral_ports


def exact(number: float) -> Interval:
    return Interval(low=number, high=number)


@pytest.mark.parametrize(
    ("low", "high", "reserved", "bound", "expected"),
    [
        (32768, 60999, (), (), exact(28232)),
        (40000, 40000, (), (), exact(1)), (40000, 40001, (), (), exact(2)),
        (40000, 40002, (), (), exact(2)),  # of three, the last is never tried
        (40000, 40003, (), (), exact(4)),
        (40000, 40004, (), (), Interval(low=4, high=5)),
        (40000, 40009, (40000,), (), exact(9)), (40000, 40009, (39999, 40010), (), exact(10)),
        (40000, 40009, (40000, 40001), (40001, 40002), exact(7)),
        (40000, 40000, (40000,), (), exact(0)),
        (40000, 40002, (40002,), (), exact(2)), (40000, 40002, (40000,), (), exact(1)),
        (40000, 40004, range(40000, 40005), (), exact(0)),
        (65535, 65535, (), (), exact(1)),
    ],
)  # fmt: skip
def test_rule_21(low: int, high: int, reserved: object, bound: object, expected: Interval) -> None:
    assert ephemeral_ports.capacity(low, high, reserved, bound).connections == expected  # type: ignore[arg-type]


def test_rule_21_ports_that_are_left() -> None:
    assert ephemeral_ports.capacity(40001, 40010, reserved=(40001,), bound=(40002, 40004)).ports == 7
    assert ephemeral_ports.capacity(40000, 40004, per_socket=True).connections == exact(5)


@given(st.integers(1, 65535), st.integers(0, 300), st.sets(st.integers(1, 65535), max_size=50))
def test_rule_21_bounds(low: int, extra: int, taken: set[int]) -> None:
    high = min(65535, low + extra)
    found = ephemeral_ports.capacity(low, high, taken)
    assert found.ports <= high - low + 1
    assert found.connections.high is not None
    assert found.ports - 1 <= found.connections.low <= found.connections.high <= found.ports
    more = ephemeral_ports.capacity(low, high, taken | {low})
    assert more.ports <= found.ports


def test_sources_and_targets_multiply() -> None:
    one = ephemeral_ports.capacity(40000, 40009)
    assert ephemeral_ports.connections(one, source_addresses=3, targets=2) == exact(60)


@pytest.mark.parametrize(
    ("text", "expected"), [("", set()), ("\n", set()), ("8080", {8080}), ("8080,9148-9150\n", {8080, 9148, 9149, 9150})]
)
def test_reserved_ports_text(text: str, expected: set[int]) -> None:
    assert ephemeral_ports.parse_port_ranges(text) == expected


@pytest.mark.parametrize("text", ["a", "1-", "5-3", "70000", "1--2", "-1"])
def test_reserved_ports_text_refused(text: str) -> None:
    with pytest.raises(RuleInputError):
        ephemeral_ports.parse_port_ranges(text)


@pytest.mark.parametrize(("low", "high"), [(0, 10), (10, 9), (1, 65536)])
def test_refuses(low: int, high: int) -> None:
    with pytest.raises(RuleInputError):
        ephemeral_ports.capacity(low, high)
