"""Which listeners are shown and in which order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from estab.kernel.formats.endpoint import is_unix
from estab.live.columns import where
from estab.live.view import ListenerRow
from estab.records import Process

# The order of each column: what is worth a look comes first. The address decides where all else is equal.
ORDERS: dict[str, Callable[[ListenerRow], Any]] = {
    "state": lambda row: row.distress,
    "queue": lambda row: (row.fill, row.depth),
    "worst": lambda row: row.worst,
    "growth": lambda row: row.growth_per_s or 0.0,
    "drops": lambda row: row.drops_per_s or 0.0,
    "fds": lambda row: _fds_fill(row.tightest),
    "process": lambda row: (row.owners[0].name or "", row.owners[0].pid) if row.owners else ("", 0),
    "service": lambda row: row.service.short if row.service is not None else "",
    "listener": lambda row: (is_unix(row.address), row.port, row.address),
}
_UPWARDS = ("process", "service", "listener")  # names and ports read from the least to the greatest


@dataclass(frozen=True, slots=True)
class ListenerFilter:
    """What a listener must have. None and "" let all pass.

    But UNIX sockets at which nothing ever waited, of which a host has dozens, are shown only where something is asked.
    """

    port: int | None = None
    process: str | None = None
    text: str = ""
    address: str | None = None  # of a UNIX socket, as `unix:/run/app.sock`

    def passes(self, row: ListenerRow) -> bool:
        """Whether the listener is shown."""
        if is_unix(row.address) and not row.worst and self == ListenerFilter():
            return False
        if self.address is not None and row.address != self.address:
            return False
        if self.port is not None and row.port != self.port:
            return False
        if self.process is not None and not _is_process(row, self.process):
            return False
        return all(_has(row, word) for word in self.text.lower().split())


def arranged(
    rows: Sequence[ListenerRow], wanted: ListenerFilter, by: str = "state", *, backwards: bool = False
) -> list[ListenerRow]:
    """The rows that pass, sorted; equal ones by port and address."""
    shown = sorted((row for row in rows if wanted.passes(row)), key=ORDERS["listener"])
    return sorted(shown, key=ORDERS[by], reverse=downwards(by, backwards=backwards))


def downwards(by: str, *, backwards: bool = False) -> bool:
    """Whether the greatest comes first."""
    return (by not in _UPWARDS) != backwards


def _has(row: ListenerRow, word: str) -> bool:
    """`:80` is a port; a number a port or a PID; else part of a process, of what it belongs to, of an address, a
    namespace or a state.
    """
    if word.startswith(":") and word[1:].isdigit():
        return row.port == int(word[1:])
    if word.isdigit():
        return row.port == int(word) or any(owner.pid == int(word) for owner in row.owners) or row.netns == word
    known = [where(row.address, row.port), row.address, row.netns or "own", row.judgement.word]
    known += [owner.name or "" for owner in row.owners]
    known += [name for owner in row.owners if owner.service for name in owner.service.names]
    return any(word in text.lower() for text in known)


def _is_process(row: ListenerRow, name: str) -> bool:
    """A PID, or part of a name."""
    if name.isdigit():
        return any(owner.pid == int(name) for owner in row.owners)
    return any(name.lower() in (owner.name or "").lower() for owner in row.owners)


def _fds_fill(tightest: Process | None) -> float:
    return (tightest.fds or 0) / (tightest.nofile_soft or 1) if tightest is not None else -1.0
