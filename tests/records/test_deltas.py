"""What counters rose by: a 0 is kept, unknown is absent, and records that left zeros out are read as was meant."""

from __future__ import annotations

import pytest

from estab.records import ClientSide, HostFacts, ServerSide, Snapshot
from estab.records.deltas import between

OVERFLOWS = "TcpExt.ListenOverflows"


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 5}, {"a": 0, "b": 3}),
        ({"a": 5}, {"a": 2}, {}),  # it began anew
        ({"Tcp.CurrEstab": 5}, {"Tcp.CurrEstab": 2}, {"Tcp.CurrEstab": -3}),
        ({}, {"new": 2}, {}),
        ({}, {"IcmpMsg.OutType3": 2}, {"IcmpMsg.OutType3": 2}),  # not listed before its first
        ({"gone": 1}, {}, {}),
        (None, {"a": 1}, None),
        ({"a": 1}, None, None),
    ],
)
def test_between(before: dict[str, int] | None, after: dict[str, int] | None, changed: dict[str, int] | None) -> None:
    assert between(before, after) == changed


def snapshot(counters: dict[str, int] | None) -> Snapshot:
    return Snapshot(taken_at_s=1.0, host=HostFacts(), counters=counters)


@pytest.mark.parametrize(
    ("deltas", "before", "after", "rose"),
    [
        ({OVERFLOWS: 3}, None, None, 3),
        ({OVERFLOWS: 0}, None, None, 0),
        ({}, None, None, None),
        (None, None, None, None),
        ({}, {OVERFLOWS: 7}, {OVERFLOWS: 7}, 0),  # an old record: what did not move was left out
        ({}, {OVERFLOWS: 7}, None, None),
        ({}, {}, {OVERFLOWS: 7}, None),
        (None, {OVERFLOWS: 7}, {OVERFLOWS: 9}, 2),
        (None, {OVERFLOWS: 7}, {OVERFLOWS: 3}, None),
    ],
)
def test_rose(
    deltas: dict[str, int] | None, before: dict[str, int] | None, after: dict[str, int] | None, rose: int | None
) -> None:
    ends = {"before": snapshot(before), "after": snapshot(after), "deltas": deltas}
    assert ClientSide(**ends).rose(OVERFLOWS) == rose
    assert ServerSide(observed=True, **ends).rose(OVERFLOWS) == rose
    assert ServerSide(observed=False, **ends).rose(OVERFLOWS) is None
