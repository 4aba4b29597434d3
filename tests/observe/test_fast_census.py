"""The C engine and the specification in Python give the same on captured and on mutated bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.errors import ParseError
from estab.kernel.formats.inet_diag import Census, Established
from estab.observe.fast_census import EngineCensus, EngineEstablished

DUMPS = sorted((Path(__file__).parents[1] / "data").glob("[0-9]*/inet*.bin"))


def outcome(collector: Census | Established, *datagrams: bytes) -> list[object]:
    said: list[object] = []
    for data in datagrams:
        try:
            said.append(collector.add(data))
        except ParseError as error:
            said.append((str(error), error.offset))
    return [*said, vars(collector)]


def same(*datagrams: bytes) -> None:
    wanted = {"ports": True, "peers": True, "sources": True}
    assert outcome(Census(**wanted), *datagrams) == outcome(EngineCensus(**wanted), *datagrams)
    assert outcome(Census(), *datagrams) == outcome(EngineCensus(), *datagrams)
    for at_server in (True, False):
        spec, fast = Established(at_server=at_server), EngineEstablished(at_server=at_server)
        assert outcome(spec, *datagrams) == outcome(fast, *datagrams)


def test_the_engine_is_built() -> None:
    assert EngineCensus is not Census


@pytest.mark.parametrize("path", DUMPS, ids=lambda path: path.name)
def test_captured_bytes_whole_and_cut(path: Path) -> None:
    data = path.read_bytes()
    same(data, data)
    for end in range(len(data)):
        same(data[:end])


@given(
    path=st.sampled_from(DUMPS),
    changes=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=8),
    junk=st.binary(max_size=40),
)
def test_mutated_bytes(path: Path, changes: list[tuple[int, int]], junk: bytes) -> None:
    data = bytearray(path.read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    same(bytes(data) + junk)


@given(parts=st.lists(st.sampled_from(DUMPS), min_size=2, max_size=4))
def test_merging_is_counting_on(parts: list[Path]) -> None:
    whole, sum_of_parts = Census(ports=True, peers=True, sources=True), Census(ports=True, peers=True, sources=True)
    for path in parts:
        part = Census(ports=True, peers=True, sources=True)
        whole.add(path.read_bytes())
        part.add(path.read_bytes())
        sum_of_parts.merge(part)
    assert vars(whole) == vars(sum_of_parts)


def test_wrong_tables_are_refused() -> None:
    from array import array

    from estab import _engine

    with pytest.raises(ValueError, match="512"):
        _engine.census(b"", array("Q", [0]), None, None, None)
    with pytest.raises(TypeError, match="dict"):
        _engine.census(b"", array("Q", bytes(4096)), 3, None, None)  # type: ignore[arg-type]
