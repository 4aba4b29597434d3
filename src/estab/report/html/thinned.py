"""A recording of any length in as many snapshots as a plot has room for. Pure: keeps these alone, of each namespace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce

from estab.records import Listener, NamespaceId, Snapshot

MOST = 1_000
COUNTERS = (
    "TcpExt.ListenOverflows",
    "TcpExt.ListenDrops",
    "TcpExt.TCPSynRetrans",
    "Tcp.ActiveOpens",
    "Tcp.PassiveOpens",
    "Tcp.AttemptFails",
)  # what is drawn
_Key = tuple[int, str, int, int | None]


@dataclass
class Thinned:
    """Up to MOST snapshots that stand for equally many looks each. A queue is as deep as it was at any of these; what
    counts up, or is counted now and then, is as it was last.
    """

    kept: dict[NamespaceId, NamespaceSnapshots] = field(default_factory=dict)

    def through(self, snapshots: Iterable[Snapshot]) -> Iterator[Snapshot]:
        """The snapshots, oldest first, each noted before it is passed on."""
        for taken in snapshots:
            self.kept.setdefault(taken.namespace, NamespaceSnapshots()).add(taken)
            yield taken


@dataclass
class NamespaceSnapshots:
    """The snapshots of one namespace: `whole` of `looks` looks each, `part` of those since. `newest` is as it came."""

    whole: list[Snapshot] = field(default_factory=list)
    looks: int = 1
    part: Snapshot | None = None
    in_part: int = 0
    newest: Snapshot | None = None

    def add(self, taken: Snapshot) -> None:
        """One more."""
        self.newest, drawn = taken, _drawn(taken)
        self.part = drawn if self.part is None else _together(self.part, drawn)
        self.in_part += 1
        if self.in_part < self.looks:
            return
        self.whole.append(self.part)
        self.part, self.in_part = None, 0
        if len(self.whole) == MOST:
            self.whole = [_together(*pair) for pair in zip(self.whole[::2], self.whole[1::2], strict=True)]
            self.looks *= 2

    def all(self) -> list[Snapshot]:
        """All of them, oldest first."""
        return self.whole if self.part is None else [*self.whole, self.part]


def fewer(snapshots: Sequence[Snapshot], step: int) -> list[Snapshot]:
    """One for each `step` that follow one another."""
    return [reduce(_together, snapshots[at : at + step]) for at in range(0, len(snapshots), step)]


def _drawn(taken: Snapshot) -> Snapshot:
    """What a plot shows of it."""
    counters = taken.counters

    def unowned(listeners: list[Listener] | None) -> list[Listener] | None:
        return None if listeners is None else [listener.replace(owners=None) for listener in listeners]

    return Snapshot(
        taken_at_s=taken.taken_at_s,
        host=taken.host,
        netns=taken.netns,
        states=taken.states,
        listeners=unowned(taken.listeners),
        unix_listeners=unowned(taken.unix_listeners),
        counters=None if counters is None else {name: counters[name] for name in COUNTERS if name in counters},
    )


def _together(earlier: Snapshot, later: Snapshot) -> Snapshot:
    return later.replace(
        listeners=_deepest(earlier.listeners, later.listeners),
        unix_listeners=_deepest(earlier.unix_listeners, later.unix_listeners),
        states=earlier.states if later.states is None else later.states,
        counters=earlier.counters if later.counters is None else later.counters,
    )


def _deepest(earlier: list[Listener] | None, later: list[Listener] | None) -> list[Listener] | None:
    """Every listener of both, as it is in the later one where it is there, at its deepest."""
    if earlier is None or later is None:
        return earlier if later is None else later
    before = {_key(listener): listener for listener in earlier}
    now = [each.replace(depth=max(each.depth, before.get(_key(each), each).depth)) for each in later]
    still = {_key(listener) for listener in later}
    return [*now, *(listener for key, listener in before.items() if key not in still)]


def _key(listener: Listener) -> _Key:
    return listener.family, listener.address, listener.port, listener.inode
