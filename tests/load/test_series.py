"""Latency over time: only what came since the last look, in the right quantiles, merged over workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from estab.load.block import CONNECT_NS_AT, REQUEST_NS_AT, Block, hdr_index
from estab.load.series import LatencySeries, spread


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def blocks() -> Iterator[list[Block]]:
    made = [Block.create("test"), Block.create("test")]
    yield made
    for block in made:
        block.close()


def count(block: Block, kind: str, at: int, values_us: list[int]) -> None:
    for value in values_us:
        block.words[at // 8 + hdr_index(value * 1000)] += 1
    block.set(f"{kind}_count", block.get(f"{kind}_count") + len(values_us))


def test_each_look_sees_what_came_since_the_last(blocks: list[Block]) -> None:
    clock = Clock()
    series = LatencySeries(clock)
    count(blocks[0], "connect", CONNECT_NS_AT, [100] * 9)
    count(blocks[1], "connect", CONNECT_NS_AT, [1_000_000])
    clock.now += 0.1
    assert series.look(blocks) == {}
    clock.now += 0.4
    first = series.look(blocks)
    assert set(first) == {"connect_us"}
    found = first["connect_us"]
    assert (found.count, found.over_s) == (10, 0.5)
    assert found.p50 == pytest.approx(100, rel=0.001)
    assert found.p90 == pytest.approx(100, rel=0.001)
    assert found.p99 == found.max == pytest.approx(1_000_000, rel=0.001)
    count(blocks[1], "request", REQUEST_NS_AT, [5, 7])
    clock.now += 0.5
    second = series.look(blocks)
    assert set(second) == {"request_us"}
    assert second["request_us"].max == pytest.approx(7, rel=0.001)
    clock.now += 0.5
    assert series.look(blocks) == {}


def test_the_last_look_does_not_wait(blocks: list[Block]) -> None:
    clock = Clock()
    series = LatencySeries(clock)
    count(blocks[0], "request", REQUEST_NS_AT, [3])
    clock.now += 0.01
    assert series.look(blocks, last=True)["request_us"].count == 1


def test_no_values_have_no_spread() -> None:
    assert spread([Counter(), Counter()], 1.0) is None
