import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.kernel.rules import Interval, RuleInputError, ephemeral_ports
from estab.kernel.rules.kernel_version import parse


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


def test_rule_20_parities() -> None:
    found = ephemeral_ports.capacity(40001, 40010, reserved=(40001,), bound=(40002, 40004))
    assert (found.ports, found.first_parity, found.second_parity) == (7, 4, 3)
    assert [ephemeral_ports.parity(port, 40001) for port in (40001, 40002, 40003)] == ["first", "second", "first"]
    per_socket = ephemeral_ports.capacity(40000, 40004, per_socket=True)
    assert (per_socket.first_parity, per_socket.connections) == (0, exact(5))


@given(st.integers(1, 65535), st.integers(0, 300), st.sets(st.integers(1, 65535), max_size=50))
def test_rule_21_bounds(low: int, extra: int, taken: set[int]) -> None:
    high = min(65535, low + extra)
    found = ephemeral_ports.capacity(low, high, taken)
    assert found.first_parity + found.second_parity == found.ports <= high - low + 1
    assert found.connections.high is not None
    assert found.ports - 1 <= found.connections.low <= found.connections.high <= found.ports
    more = ephemeral_ports.capacity(low, high, taken | {low})
    assert more.ports <= found.ports


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ((0, 0), (1.0, False)),
        ((13_999, 0), (14_001 / 2, False)),
        ((14_000, 0), (14_001.0, True)),
        ((14_000, 14_000), (28_000.0, True)),
    ],
)
def test_rule_20_the_search_gets_slow(used: tuple[int, int], expected: tuple[float, bool]) -> None:
    cost = ephemeral_ports.search_cost(14_000, 14_000, *used)
    assert (cost.probes, cost.exhausted_parity) == expected


@given(st.integers(1, 1000), st.data())
def test_rule_20_cost_rises(ports: int, data: st.DataObject) -> None:
    used = data.draw(st.integers(0, ports - 1))
    assert (
        ephemeral_ports.search_cost(ports, ports, used, 0).probes
        <= ephemeral_ports.search_cost(ports, ports, used + 1, 0).probes
    )


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


@pytest.mark.parametrize(
    ("release", "no_port", "per_socket"), [("4.1.52", 0, 0), ("4.2.0", 1, 0), ("6.2.16", 1, 0), ("6.3.0", 1, 1)]
)
def test_socket_options_by_kernel(release: str, no_port: int, per_socket: int) -> None:
    kernel = parse(release)
    assert ephemeral_ports.knows_bind_address_no_port(kernel) is bool(no_port)
    assert ephemeral_ports.knows_local_port_range(kernel) is bool(per_socket)


@pytest.mark.parametrize(("low", "high"), [(0, 10), (10, 9), (1, 65536)])
def test_refuses(low: int, high: int) -> None:
    with pytest.raises(RuleInputError):
        ephemeral_ports.capacity(low, high)
