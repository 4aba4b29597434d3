"""What each end's machine had to refuse for want of room in its neighbour tables (ARP, NDP). No verdict.

Source: `neigh_alloc` (net/core/neighbour.c): with gc_thresh3 entries, of which none can be freed, a new neighbour is
refused, and table_fulls counts it. The tables are the machine's, so other namespaces' neighbours count as well.
"""

from __future__ import annotations

from dataclasses import dataclass

from estab.diagnose.evidence import measured
from estab.records import Evidence, NeighbourTable, RunResult, Snapshot
from estab.words import plural

_SOURCE = "netlink RTM_GETNEIGHTBL"


@dataclass(frozen=True)
class FullestTable:
    """One machine: the fullest of its tables as it stands, and how often one was full in between (None: not known)."""

    fullest: NeighbourTable
    refused: int | None

    @property
    def is_full(self) -> bool:
        """Whether no place is left now."""
        return self.fullest.maximum is not None and self.fullest.entries >= self.fullest.maximum

    @property
    def room(self) -> str:
        """`1,024 entries of 1,024`."""
        of = "" if self.fullest.maximum is None else f" of {self.fullest.maximum:,}"
        return f"{plural(self.fullest.entries, 'entry', 'entries')}{of}"

    @property
    def evidence(self) -> list[Evidence]:
        """How full, and how often it was."""
        table = self.fullest
        text = f"{table.name} has {self.room} (gc_thresh3)"
        told = [measured(_SOURCE, "entries", table.entries, text, table.maximum)]
        if self.refused is not None:
            text = f"table_fulls rose by {self.refused:,} in between: so often the machine refused a new neighbour"
            told.append(measured(_SOURCE, "table_fulls", self.refused, text))
        return told


def of_client(run: RunResult) -> FullestTable | None:
    """The client's machine. None: not observed."""
    return between(run.client.before, run.client.after)


def between(before: Snapshot | None, after: Snapshot | None) -> FullestTable | None:
    """One machine between two moments. None: it was not read at the later one."""
    now = (after.neighbours if after is not None else None) or []
    if not now:
        return None
    then = {table.name: table.table_fulls for table in (before.neighbours if before is not None else None) or []}
    rises = [
        max(0, table.table_fulls - was)
        for table in now
        if table.table_fulls is not None and (was := then.get(table.name)) is not None
    ]
    fullest = max(now, key=lambda table: table.entries / max(1, table.maximum or 1))
    return FullestTable(fullest, sum(rises) if rises else None)


def refused(run: RunResult) -> int:
    """How often the client's machine refused a new neighbour within the run; 0 where that was not observed."""
    seen = of_client(run)
    return (seen.refused or 0) if seen is not None else 0
