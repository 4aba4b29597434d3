"""The live view's model: rounds of snapshots in, a `View` out. Pure: no clock, no IO, no terminal.

A round is what was taken together: one snapshot, or one for each network namespace.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from estab.diagnose.snapshots import judge_snapshots
from estab.live import rates
from estab.live.space import SpaceModel, space_of
from estab.live.view import PUT_OFF, Key, Peers, Row, Sample, Space, Target, Totals, View
from estab.records import Conntrack, Diagnosis, Snapshot

MOST_TARGETS = 20


class Model:
    """What was seen so far. `feed` takes the next round; the same rounds always give the same view."""

    def __init__(self) -> None:
        self._spaces: dict[Space, SpaceModel] = {}
        self._round: list[SpaceModel] = []
        self.view: View | None = None

    def feed(self, together: Sequence[Snapshot]) -> View:
        """The view after one more round; raises ValueError for a round without a snapshot."""
        if not together:
            raise ValueError("a round has at least one snapshot")
        self._round = [self._fed(one) for one in together]
        kept = {one.space for one in self._round}
        self._spaces = {space: one for space, one in self._spaces.items() if space in kept}
        now = together[0]
        self.view = View(
            at_s=now.taken_at_s,
            host=now.host.hostname,
            spaces=[one.space for one in self._round],
            interval_s=self._round[0].elapsed_s,
            rows=[row for one in self._round for row in one.rows],
            targets=_busiest(target for one in self._round for target in one.targets()),
            peers=_peers(self._round),
            totals=_totals(self._round),
            verdict=self._verdict(),
            less=_less(together),
        )
        return self.view

    def history(self, key: Key) -> Sequence[Sample]:
        """The samples of one listener, oldest first; none where it was never seen or is long gone."""
        space = self._spaces.get(key[0])
        return space.history(key) if space is not None else ()

    def last_row(self, key: Key) -> Row | None:
        """The listener as it was last seen, though it may have closed since."""
        space = self._spaces.get(key[0])
        return space.last_row(key) if space is not None else None

    def diagnosis_of(self, key: Key) -> Diagnosis | None:
        """The judge's word as if this listener were the only one; None where it does not listen any more."""
        space = self._spaces.get(key[0])
        return space.diagnosis_of(key) if space is not None else None

    def _fed(self, taken: Snapshot) -> SpaceModel:
        space = space_of(taken)
        model = self._spaces.setdefault(space, SpaceModel(space))
        model.feed(taken)
        return model

    def _verdict(self) -> Diagnosis | None:
        """The first namespace with a cause speaks; else the first one."""
        found = [judge_snapshots(*one.window()) for one in self._round]
        return next((one for one in found if one.cause is not None), found[0] if found else None)


def rounds(snapshots: Iterable[Snapshot]) -> list[list[Snapshot]]:
    """Snapshots in the order of a recording, grouped as they were taken: a namespace comes once a round."""
    found: list[list[Snapshot]] = []
    seen: set[Space] = set()
    for one in snapshots:
        space = space_of(one)
        if not found or space in seen:
            found.append([])
            seen = set()
        found[-1].append(one)
        seen.add(space)
    return found


def _busiest(targets: Iterable[Target]) -> list[Target]:
    return sorted(targets, key=lambda one: (-(one.fill or 0.0), -one.use.used, one.use.address, one.use.port))[
        :MOST_TARGETS
    ]


def _peers(spaces: Sequence[SpaceModel]) -> list[Peers]:
    counts: dict[str, int] = {}
    for one in spaces:
        for peer in one.census.peers if one.census is not None else ():
            counts[peer.address] = counts.get(peer.address, 0) + peer.sockets
    return [Peers(*item) for item in sorted(counts.items(), key=lambda item: (-item[1], item[0]))][:MOST_TARGETS]


def _totals(spaces: Sequence[SpaceModel]) -> Totals:
    counted = [one for one in spaces if one.states is not None]
    states: dict[str, int] = {}
    for one in counted:
        for name, count in (one.states or {}).items():
            states[name] = states.get(name, 0) + count
    table = max((one for one in spaces if one.conntrack is not None), key=_conntrack_fill, default=None)
    return Totals(
        states=states if counted else None,
        states_age_s=max((one.states_age_s for one in counted), default=None),
        established=_sum(one.counter("Tcp.CurrEstab") for one in spaces),
        inuse=_sum(one.sockstat("TCP.inuse", "TCP6.inuse") for one in spaces),
        time_wait=_sum(one.sockstat("TCP.tw") for one in spaces),
        orphans=_sum(one.sockstat("TCP.orphan") for one in spaces),
        rates=rates.summed([one.rates for one in spaces]),
        conntrack=table.conntrack if table is not None else None,
        conntrack_drops_per_s=table.conntrack_drops_per_s if table is not None else None,
    )


def _conntrack_fill(one: SpaceModel) -> float:
    table = one.conntrack or Conntrack()
    return (table.count or 0) / (table.maximum or 1)


def _sum(values: Iterable[int | None]) -> int | None:
    known = [one for one in values if one is not None]
    return sum(known) if known else None


def _less(together: Sequence[Snapshot]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((gap.field, gap.why) for one in together for gap in one.unobserved if gap.why != PUT_OFF))
