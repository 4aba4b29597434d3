"""What failed: at which phase of a connection, and with which errno."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple, Self

from estab.records.base import Record

PHASES = ("connect", "write", "read", "close", "accept")
OWN_CODES = ("own_timeout", "eof", "wrong_bytes", "other")  # what no errno tells: the engine's
GAVE_UP = "gave_up"  # and what is seen of other programs
_REASONS = {
    "own_timeout": "timed out (--timeout)",
    GAVE_UP: "given up by the program",
    "eof": "closed by the peer",
    "wrong_bytes": "not an echo",
}
CLIENT_PHASES = PHASES[:-1]  # what accept() gives is the server's, and costs a client nothing as such


class FailureKind(NamedTuple):
    """A kind of failure, spelled `connect ETIMEDOUT` wherever it is a key or a label.

    `errno` is the kernel's name (`ETIMEDOUT`), or in lower case what no errno tells: `own_timeout` (our --timeout
    ended it), `gave_up` (a watched program closed it unconnected), `eof` (the peer closed early), `wrong_bytes` (the
    echo differs), `other` (the table was full).
    """

    phase: str
    errno: str

    def __str__(self) -> str:
        return f"{self.phase} {self.errno}"

    @property
    def words(self) -> str:
        """As a part of a sentence: `ETIMEDOUT at connect`, `timed out (--timeout) at connect`."""
        return "replies that are not an echo" if self.errno == "wrong_bytes" else f"{self.reason} at {self.phase}"

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
    """Failures of one kind (`FailureKind`). `phase` is connect, write, read, close, or accept (at a server).

    `first_s` and `last_s`, when the first and the last of them failed, count from the start of the run. `first_bytes`:
    at `wrong_bytes`, how the first reply that was no echo began, as `estab.kernel.formats.first_bytes.text` writes it.
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
        """Whether a client met it."""
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
