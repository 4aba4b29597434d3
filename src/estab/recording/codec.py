"""Snapshots as the lines of a segment: the first of each namespace whole, of each further one what has changed."""

from __future__ import annotations

from typing import Any

import msgspec

from estab.errors import ReadError
from estab.recording.changes import change, changed
from estab.records import SNAPSHOT_SCHEMA, NamespaceId, Snapshot, decode, encode, from_builtins

CHANGE_SCHEMA = "estab.snapshot.change/1"


class _Change(msgspec.Struct, frozen=True, tag_field="schema", tag=CHANGE_SCHEMA):
    """A line that is not whole: `of` which of the series of snapshots in this file, counted from 0."""

    of: int
    change: Any


_BEGINNING = msgspec.json.encode(_Change(0, None)).partition(b",")[0]


class LineEncoder:
    """Makes lines of snapshots, for one segment."""

    def __init__(self) -> None:
        self._series: dict[NamespaceId, tuple[int, Any]] = {}

    def line(self, taken: Snapshot) -> bytes:
        """The next line, with its end."""
        key = taken.namespace
        now = msgspec.to_builtins(taken)
        number, before = self._series.get(key, (len(self._series), None))
        self._series[key] = number, now
        if before is None:
            return encode(taken) + b"\n"
        return msgspec.json.encode(_Change(number, change(before, now))) + b"\n"


class LineDecoder:
    """Makes snapshots of lines, of one file from its beginning."""

    def __init__(self) -> None:
        self._numbers: dict[NamespaceId, int] = {}
        self._last: list[Any] = []  # of each series; bytes, as long as nobody asked what stands in them

    def snapshot(self, line: bytes) -> Snapshot:
        """The snapshot of the next line. Raises ReadError."""
        if not line.startswith(_BEGINNING):
            taken = decode(line, Snapshot, SNAPSHOT_SCHEMA)
            number = self._numbers.setdefault(taken.namespace, len(self._numbers))
            self._last[number : number + 1] = [line]
            return taken
        try:
            told = msgspec.json.decode(line, type=_Change)
            last = self._last[told.of]
            self._last[told.of] = changed(msgspec.json.decode(last) if isinstance(last, bytes) else last, told.change)
            return from_builtins(self._last[told.of], Snapshot)
        except (msgspec.DecodeError, msgspec.ValidationError, IndexError, UnicodeDecodeError) as error:
            raise ReadError(f"damaged {CHANGE_SCHEMA}: {error}") from error
