"""What was changed, applied to what it was a change of, gives what there is now."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.diagnose.test_snapshots import listener, moment

from estab.errors import ReadError
from estab.recording.changes import change, changed
from estab.recording.codec import CHANGE_SCHEMA, LineDecoder, LineEncoder
from estab.records import HostFacts, Snapshot

LEAVES = st.none() | st.text(max_size=3) | st.integers(2, 9)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcd"), inner), max_leaves=12
)


@given(VALUES, VALUES)
def test_a_change_gives_the_second_from_the_first(before: Any, after: Any) -> None:
    told = msgspec.json.decode(msgspec.json.encode(change(before, after)))
    assert changed(before, told) == after


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, None),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, {"+": {"b": [3]}}),
        ({"a": 1}, {"b": 1}, {"+": {"b": [1]}, "-": ["a"]}),
        ([1, {"a": [1, 2]}], [1, {"a": [1, 3]}], {"+": {"1": {"+": {"a": {"+": {"1": [3]}}}}}}),
        ([1], [1, 2], [[1, 2]]),
        ({"a": None}, {"a": []}, {"+": {"a": [[]]}}),
    ],
)
def test_no_more_is_told_than_what_differs(before: Any, after: Any, expected: Any) -> None:
    assert change(before, after) == expected


@pytest.mark.parametrize("told", [{"+": {"9": [1]}}, {"+": {"x": [1]}}, {"-": []}, "text", [1, 2], 7])
@pytest.mark.parametrize("before", [[1], {"a": 1}, None])
def test_a_change_of_something_else_is_refused(before: Any, told: Any) -> None:
    if isinstance(before, dict) and isinstance(told, dict) and "+" in told:
        return  # of an object, any key may be new
    with pytest.raises(ReadError, match="a change of something else"):
        changed(before, told)


LISTENERS = st.lists(st.integers(0, 3).map(listener), max_size=3) | st.none()
TAKEN = st.builds(
    lambda inode, at_s, listeners: moment(at_s, listeners=listeners, host=HostFacts(netns_inode=inode)),
    st.integers(1, 3),
    st.floats(0, 1e9),
    LISTENERS,
)


@settings(max_examples=30, deadline=None)
@given(st.lists(TAKEN, max_size=8))
def test_lines_give_the_snapshots_that_they_were_made_of(sent: list[Snapshot]) -> None:
    """Of several namespaces, in any order, again and again."""
    encoder, decoder = LineEncoder(), LineDecoder()
    lines = [encoder.line(each) for each in sent]
    assert [decoder.snapshot(line.rstrip(b"\n")) for line in lines] == sent


def test_a_line_that_changes_what_is_not_there_is_damaged() -> None:
    for line in (b'{"schema":"%s","of":0,"change":null}', b'{"schema":"%s","of":"x"}', b'{"schema":"%s"'):
        with pytest.raises(ReadError, match=r"damaged estab\.snapshot\.change/1"):
            LineDecoder().snapshot(line % CHANGE_SCHEMA.encode())
