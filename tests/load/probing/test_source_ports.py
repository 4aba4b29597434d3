"""Which local ports are tried, and which of them again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import servers
from tests.namespaces import in_namespace, run

from estab.load.probing import source_ports
from estab.records import ConnectTry, PortTries, SourcePorts

THROUGH, SILENT = ConnectTry(ms=0.2), ConnectTry(errno="own_timeout", ms=2500.0, resent=1)


@given(low=st.integers(1, 65_535), size=st.integers(0, 65_535), wanted=st.integers(1, 60), turn=st.integers(0, 1 << 40))
def test_ports_are_as_many_as_were_wanted(low: int, size: int, wanted: int, turn: int) -> None:
    ports = source_ports.choose((low, min(65_535, low + size)), wanted, turn)
    assert len(set(ports)) == wanted
    assert 1024 <= min(ports) <= max(ports) <= 65_535
    assert ports[0] % 2 == 0


@pytest.mark.parametrize(
    ("used", "low", "high"),
    [
        ((32_768, 60_999), 61_000, 65_535),
        ((1024, 65_000), 65_001, 65_535),
        ((1024, 65_400), 1024, 65_535),  # no room above it, nor below: as it comes
        ((20_000, 65_535), 1024, 19_999),
        (None, 1024, 65_535),
    ],
)
def test_ports_lie_outside_of_those_that_connect_takes(used: tuple[int, int] | None, low: int, high: int) -> None:
    ports = source_ports.choose(used, 60, 12_345)
    assert low <= min(ports)
    assert max(ports) <= high
    assert max(ports) - min(ports) > (high - low) // 2  # a hash may look at the first bits


@pytest.mark.parametrize("members", range(2, 9))
@pytest.mark.parametrize("halved", [1, 2])
def test_each_member_gets_its_share_within_three_points(members: int, halved: int) -> None:
    for turn in range(70):
        chosen = [port // halved % members for port in source_ports.choose((32_768, 60_999), 60, turn)]
        assert all(abs(chosen.count(member) / 60 - 1 / members) <= 0.03 for member in range(members))


def of(first: str) -> list[PortTries]:
    return [PortTries(port=n, tries=[SILENT if c == "x" else THROUGH]) for n, c in enumerate(first, 1)]


def test_as_many_of_each_kind_are_tried_again_and_the_last_comes_first() -> None:
    assert source_ports.again(of(".x..x."), 40) == [6, 5, 4, 2]
    assert source_ports.again(of("......"), 40) == []
    assert source_ports.again(of("xxxxxx"), 40) == []
    assert len(source_ports.again(of(".x" * 30), 40)) == 24
    assert len(source_ports.again(of(".x" * 30), 9)) == 8


@pytest.mark.namespace
def test_a_part_of_the_ports_is_dropped() -> None:
    def tried() -> SourcePorts:
        with servers.side_by_side(lambda sock: sock.close()) as target:
            port = int(target.rpartition(":")[2])
            drop = f"type filter hook input priority 0; tcp dport {port} tcp sport & 2 == 2 drop;"
            run("nft", f"table ip t {{ chain c {{ {drop} }}; }}")
            ports = source_ports.choose((32_768, 60_999), 16, 7)
            return source_ports.probe(("127.0.0.1", port, 0), None, ports, 30)

    made: SourcePorts = in_namespace(tried)
    assert [len(tried.tries) for tried in made.ports].count(2) == 14
    for tried in made.ports:
        assert all(outcome.silent == bool(tried.port & 2) for outcome in tried.tries)
        assert all(bool(outcome.resent) == outcome.silent for outcome in tried.tries)
