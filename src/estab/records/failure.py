"""What failed: at which phase of a connection, and with which errno."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple, Self

from estab.records.base import Record

GAVE_UP = "gave_up"  # what no errno tells of other programs
_REASONS = {
    "own_timeout": "timed out (--timeout)",
    GAVE_UP: "given up by the program",
    "eof": "closed by the peer",
    "wrong_bytes": "not an echo",
    "malformed": "not HTTP",
    "header_too_long": "a header of more than 64 kB",
    "excess_bytes": "more bytes than the reply has",
}
_REPLIES = {
    "wrong_bytes": "replies that are not an echo",
    "malformed": "replies that are not HTTP",
    "header_too_long": "replies with a header of more than 64 kB",
    "excess_bytes": "replies with more bytes than they should have",
}
OF_CONNECTED = ("write", "read", "reply")  # what ends a connection that was made, before its time
CLIENT_PHASES = ("connect", *OF_CONNECTED, "close")  # what accept() gives costs a client nothing as such, nor a status


class FailureKind(NamedTuple):
    """A kind of failure, spelled `connect ETIMEDOUT` wherever it is a key or a label.

    `errno` is the kernel's name (`ETIMEDOUT`), or in lower case what no errno tells: `own_timeout` (our --timeout
    ended it), `gave_up` (a watched program closed it unconnected), `eof` (the peer closed early), `wrong_bytes` (the
    echo differs), `malformed` (a reply that is not HTTP), `header_too_long` (its header has more than 64 kB),
    `excess_bytes` (more came than the reply has), `other` (the table was full); at the phase status, that of HTTP.
    """

    phase: str
    errno: str

    def __str__(self) -> str:
        return f"{self.phase} {self.errno}"

    @property
    def words(self) -> str:
        """As a part of a sentence: `ETIMEDOUT at connect`, `timed out (--timeout) at connect`."""
        if self.phase == "status":
            return f"replies with status {self.errno}"
        where = "within a reply" if self.phase == "reply" else f"at {self.phase}"
        return _REPLIES.get(self.errno, f"{self.reason} {where}")

    @property
    def reason(self) -> str:
        """The errno, or in words what no errno tells: `timed out (--timeout)`."""
        return _REASONS.get(self.errno, self.errno)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The kind that is spelled so."""
        phase, _, errno = text.partition(" ")
        return cls(phase, errno)


class Failure(Record, frozen=True, kw_only=True):
    """Failures of one kind (`FailureKind`). `phase` is connect, write, read, reply (within one), close, or accept (at a
    server). At status they are replies with a status that nobody wished for: their connections went on.

    `first_s` and `last_s`, when the first and the last of them failed, count from the start of the run. `first_bytes`:
    how the first reply of this kind began, where it was one, as `estab.kernel.formats.first_bytes.text` writes it.
    """

    phase: str
    errno: str
    count: int
    first_s: float | None = None
    last_s: float | None = None
    example: str | None = None
    first_bytes: str | None = None

    @property
    def kind(self) -> FailureKind:
        """Phase and errno."""
        return FailureKind(self.phase, self.errno)

    @property
    def is_clients(self) -> bool:
        """Whether it ended a client's connection."""
        return self.phase in CLIENT_PHASES


def _first_s(failure: Failure) -> float:
    return math.inf if failure.first_s is None else failure.first_s


def by_kind(failures: Iterable[Failure]) -> list[Failure]:
    """One for each kind, most frequent first; first time and example are the earliest of its kind."""
    merged: dict[FailureKind, Failure] = {}
    for failure in failures:
        known = merged.setdefault(failure.kind, failure)
        if known is failure:
            continue
        earlier = min(known, failure, key=_first_s)
        last_s = None if None in (known.last_s, failure.last_s) else max(known.last_s or 0, failure.last_s or 0)
        merged[failure.kind] = earlier.replace(count=known.count + failure.count, last_s=last_s)
    return sorted(merged.values(), key=lambda failure: (-failure.count, failure.kind))
