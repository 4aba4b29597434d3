"""What blocks say, merged: exact counts, percentiles within HDR's promise, and an encoding that others can read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from estab.load import block, outcome
from estab.load.block import Block, hdr_index, hdr_value
from estab.load.pyengine.counting import Count
from estab.records import ArrivalOrder


@pytest.fixture
def blocks() -> Iterator[list[Block]]:
    made = [Block.create("test") for _ in range(2)]
    yield made
    for one in made:
        one.close()


@given(st.lists(st.integers(1, block.HDR_HIGHEST_NS), min_size=1, max_size=200))
def test_percentiles_keep_three_digits(values: list[int]) -> None:
    counts = Counter(hdr_value(hdr_index(value)) for value in values)
    found = outcome.percentiles(counts, sum(values), max(values))
    assert found is not None
    ordered = sorted(values)
    assert found.count == len(values)
    assert found.max == pytest.approx(max(values) / 1000, rel=1e-6, abs=1e-3)
    assert found.mean == pytest.approx(sum(values) / len(values) / 1000, rel=1e-6, abs=1e-3)
    assert found.p50 == pytest.approx(ordered[(len(values) - 1) // 2] / 1000, rel=2e-3, abs=2e-3)
    assert found.hdr_ns is not None
    assert HdrHistogram.decode(found.hdr_ns).get_total_count() == len(values)


def test_no_values_no_percentiles() -> None:
    assert outcome.percentiles(Counter(), 0, 0) is None


def test_failures_of_all_workers_are_merged(blocks: list[Block]) -> None:
    for one, (phase, code, times) in zip(blocks, [("connect", 111, 3), ("connect", 111, 2)], strict=True):
        count = Count(one.fd)
        for _ in range(times):
            count.failure(phase, code, "127.0.0.1:1")
        count.failure("read", block.OWN_TIMEOUT, "x" * 300)
        count.close()
    found = outcome.failures(blocks)
    assert [(f.phase, f.errno, f.count) for f in found] == [("connect", "ECONNREFUSED", 5), ("read", "own_timeout", 2)]
    assert found[1].example == "x" * 95


def test_pairs_are_counted_within_each_worker(blocks: list[Block]) -> None:
    """Of ten connects the last six failed, and of ten others each second."""
    for one, ranks in zip(blocks, [range(4, 10), range(0, 10, 2)], strict=True):
        one.set("stayed", 10 - len(ranks))
        one.set("failed_before_end", len(ranks))
        one.set("failed_ranks", sum(ranks))
    assert outcome.arrival_order(blocks) == ArrivalOrder(stayed=9, failed=11, pairs=49, in_order=24 + 10)


def test_without_pairs_order_tells_nothing(blocks: list[Block]) -> None:
    blocks[0].set("stayed", 5)
    assert outcome.arrival_order(blocks) is None


def test_a_full_table_of_failures_loses_no_count(blocks: list[Block]) -> None:
    count = Count(blocks[0].fd)
    for code in range(1, 101):
        count.failure("connect", code, "")
    count.close()
    found = blocks[0].failures()
    assert len(found) == block.FAILURE_KINDS
    assert sum(one.count for one in found) == 100
    assert found[-1].errno == "other"
    assert found[-1].count == 100 - (block.FAILURE_KINDS - 1)


def test_the_busiest_half_second_counts() -> None:
    watch = outcome.WorkerCpuWatch()
    busy_ns = 0
    for tick in range(51):  # five seconds: idle but for the second second
        watch.look(7, tick * 100_000_000, busy_ns)
        busy_ns += 95_000_000 if 10 <= tick < 20 else 0
    assert watch.busiest[7] == pytest.approx(0.95)


def test_no_half_second_no_share() -> None:
    watch = outcome.WorkerCpuWatch()
    watch.look(7, 0, 0)
    watch.look(7, 400_000_000, 400_000_000)
    assert watch.busiest == {}


def test_retransmits_beyond_the_last_bucket(blocks: list[Block]) -> None:
    count = Count(blocks[0].fd)
    for n in (0, 0, 1, 15, 16, 99):
        count.retransmits(n)
    count.close()
    assert outcome.syn_retransmits(blocks) == {"0": 2, "1": 1, "15": 3}
