"""What every record shares: immutability, JSON, and tolerance of fields that a later version added."""

from __future__ import annotations

from threading import Lock
from typing import Any, Self, TypeVar

import msgspec

from estab.errors import ReadError


class Record(msgspec.Struct, frozen=True):
    """A frozen struct. Unknown is `None`, never 0. Fields that a later version added are ignored when read.

    Each child says `frozen=True, kw_only=True` itself: msgspec does not pass the latter on, and mypy wants the former.
    """

    def replace(self, **changes: object) -> Self:
        """A copy with `changes` made."""
        return msgspec.structs.replace(self, **changes)


R = TypeVar("R", bound=Record)


_UNREADABLE = (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError)


_decoders: dict[type, msgspec.json.Decoder[Any]] = {}
_one_thread = Lock()


class _Schema(msgspec.Struct):
    schema: str = ""


def encode(record: Record) -> bytes:
    """The record as one line of JSON, UTF-8, without a newline. The same record gives the same bytes."""
    return msgspec.json.encode(record, order="deterministic")


def schema_of(data: bytes) -> str:
    """The `schema` that a JSON object names, or "" where it names none.

    Raises ReadError where the bytes are not a JSON object.
    """
    if not data.strip():
        raise ReadError("it is empty; --json FILE of a load records a run, estab observe prints snapshots")
    try:
        return msgspec.json.decode(data, type=_Schema).schema
    except _UNREADABLE as error:
        raise ReadError(f"not a record of estab: {_said(error)}") from error


def decode(data: bytes, kind: type[R], schema: str) -> R:
    """The record of `kind` that stands in `data`; `schema` is what it must name, as "estab.run/1".

    Raises ReadError with the place of the fault where the bytes are damaged, or of another schema or major version.
    """
    named = schema_of(data)
    if named.split("/")[0] != schema.split("/", maxsplit=1)[0]:
        raise ReadError(f"it names {f'schema {named!r}' if named else 'no schema'}, expected {schema!r}")
    if named.split("/")[-1].split(".")[0] != schema.rsplit("/", maxsplit=1)[-1]:
        raise ReadError(f"schema is {named!r}; this estab reads {schema!r}: read it with the estab that wrote it")
    try:
        return _decoder(kind).decode(data)
    except _UNREADABLE as error:
        raise ReadError(f"damaged {schema} record: {_said(error)}") from error


def from_builtins(value: object, kind: type[R]) -> R:
    """The record of `kind` that `msgspec.to_builtins` took apart. Raises msgspec.ValidationError where it is none."""
    _decoder(kind)
    return msgspec.convert(value, kind)


def _decoder(kind: type[R]) -> msgspec.json.Decoder[R]:
    """Made once a type, by one thread: msgspec crashes where two threads meet a type for the first time."""
    with _one_thread:
        if kind not in _decoders:
            _decoders[kind] = msgspec.json.Decoder(kind)
        return _decoders[kind]


def _said(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = str(error)
    return "it ends in the middle: cut off, or still being written" if text == "Input data was truncated" else text
