"""Records are a contract: they survive their JSON, tolerate a later version's fields, and refuse damage in one line."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estab.errors import ReadError
from estab.records import RUN_SCHEMA, Diagnosis, Funnel, HostFacts, RunResult, ServerSide, decode, encode, schema_of

RUN = RunResult(
    command="hold",
    config={"connections": 3, "target": "127.0.0.1:1", "sources": []},
    host=HostFacts(hostname="h", cores=2),
    started_at_s=1.5,
    elapsed_s=0.25,
    engine="c",
    funnel=Funnel(attempted=3, connected=2),
    server=ServerSide(observed=False, why="elsewhere"),
    diagnosis=Diagnosis(summary="nothing"),
)


def test_there_and_back() -> None:
    data = encode(RUN)
    assert decode(data, RunResult, RUN_SCHEMA) == RUN
    assert encode(decode(data, RunResult, RUN_SCHEMA)) == data
    assert schema_of(data) == "estab.run/1"


def test_unknown_is_null_not_zero() -> None:
    assert msgspec.json.decode(encode(RUN))["funnel"]["accepted"] is None


def test_records_are_frozen() -> None:
    with pytest.raises(AttributeError):
        RUN.command = "bench"  # type: ignore[misc]


def test_fields_of_a_later_version_are_ignored() -> None:
    later = encode(RUN).replace(b'"funnel":{', b'"new":{"x":[1]},"funnel":{"new":2,')
    assert decode(later, RunResult, RUN_SCHEMA) == RUN


@pytest.mark.parametrize("named", ["estab.run/2", "estab.snapshot/1", "", "run"])
def test_other_schemas_are_refused(named: str) -> None:
    data = encode(RUN).replace(b'"estab.run/1"', f'"{named}"'.encode())
    with pytest.raises(ReadError, match="schema"):
        decode(data, RunResult, RUN_SCHEMA)


@settings(max_examples=300)
@given(st.data())
def test_damage_is_one_clear_line(data: st.DataObject) -> None:
    raw = bytearray(encode(RUN))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    del raw[data.draw(st.integers(0, len(raw))) :]
    try:
        decode(bytes(raw), RunResult, RUN_SCHEMA)
    except ReadError as error:
        assert "\n" not in str(error)
