"""HDR histograms in text: what was encoded comes back, and damage is one kind of error."""

from __future__ import annotations

from collections import Counter

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from estab.errors import ParseError
from estab.kernel.formats import hdr
from estab.load.block import HDR_HIGHEST_NS, hdr_index


@given(st.lists(st.integers(1, hdr.HIGHEST_NS), min_size=1, max_size=20))
def test_what_was_encoded_comes_back(values: list[int]) -> None:
    made = hdr.empty()
    for value in values:
        made.record_value(value)
    found = hdr.decode(made.encode().decode("ascii"))
    assert found.get_total_count() == len(values)
    assert found.get_value_at_percentile(100) == made.get_value_at_percentile(100)


@settings(max_examples=20)
@given(
    st.dictionaries(st.integers(1, hdr.HIGHEST_NS), st.integers(1, 1_000_000), max_size=20),
    st.lists(st.floats(0, 100), min_size=1, max_size=4),
)
def test_several_percentiles_are_those_of_the_histogram(counts: dict[int, int], percentiles: list[float]) -> None:
    made = hdr.empty()
    for value, count in counts.items():
        made.record_value(value, count)
    assert hdr.values_at(made, percentiles) == [made.get_value_at_percentile(each) for each in percentiles]


@settings(max_examples=10)
@given(st.dictionaries(st.integers(0, hdr.HIGHEST_NS), st.integers(1, 1_000_000), max_size=20))
def test_steps_through_the_percentiles_are_those_of_the_histogram(counts: dict[int, int]) -> None:
    made = hdr.empty()
    for value, count in counts.items():
        made.record_value(value, count)
    found, wanted = (
        [(one.value_iterated_to, one.percentile_level_iterated_to, one.total_count_to_this_value) for one in steps]
        for steps in (hdr.percentile_steps(made, 5), made.get_percentile_iterator(5))
    )
    assert found == wanted


@settings(max_examples=20)
@given(st.dictionaries(st.integers(1, hdr.HIGHEST_NS), st.integers(1, 1_000_000), max_size=20))
def test_one_of_buckets_is_that_of_values_one_by_one(counts: dict[int, int]) -> None:
    made, buckets = hdr.empty(), Counter[int]()
    for value, count in counts.items():
        made.record_value(value, count)
        buckets[hdr_index(value)] += count
    found = hdr.of(buckets)
    assert found.encode() == made.encode()
    assert hdr.values_at(found, [0, 50, 100]) == hdr.values_at(made, [0, 50, 100])


@pytest.mark.parametrize("cut", [0, 1, 4, 20, 40])
def test_a_histogram_that_was_cut_is_refused(cut: int) -> None:
    made = hdr.empty()
    made.record_value(5_000, 7)
    with pytest.raises(ParseError, match="not an HDR histogram"):
        hdr.decode(made.encode().decode("ascii")[:cut])


@pytest.mark.parametrize("text", ["AAAA", "HISTFAAAAA==", "\u00e9", "{}", "H" * 400])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match="not an HDR histogram"):
        hdr.decode(text)


def test_one_of_another_shape_is_taken_into_ours() -> None:
    other = HdrHistogram(1, 1_000_000, 2)
    other.record_value(2_000, 3)
    assert hdr.decode(other.encode().decode("ascii")).get_total_count() == 3


def test_the_blocks_of_workers_have_the_same_range() -> None:
    assert hdr.HIGHEST_NS == HDR_HIGHEST_NS
