"""The live view's model: rounds of snapshots in, a `HostView` out. Pure: no clock, no IO, no terminal.

A round is what was taken together: one snapshot, or one for each network namespace.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from estab.diagnose.snapshots import judge_snapshots
from estab.live import rates
from estab.live.namespace import NamespaceModel
from estab.live.view import (
    PUT_OFF,
    ConnectionsByPeer,
    HostTotals,
    HostView,
    Key,
    ListenerRow,
    QueueSample,
    Target,
)
from estab.records import Conntrack, Diagnosis, NamespaceId, Snapshot

MOST_TARGETS = 20
Figure = TypeVar("Figure", int, float)


class Model:
    """What was seen so far. `feed` takes the next round; the same rounds always give the same view."""

    def __init__(self) -> None:
        self._models: dict[NamespaceId, NamespaceModel] = {}
        self._round: list[NamespaceModel] = []
        self.view: HostView | None = None

    def feed(self, together: Sequence[Snapshot]) -> HostView:
        """The view after one more round; raises ValueError for a round without a snapshot."""
        if not together:
            raise ValueError("a round has at least one snapshot")
        self._round = [self._fed(snapshot) for snapshot in together]
        kept = {model.namespace for model in self._round}
        self._models = {namespace: model for namespace, model in self._models.items() if namespace in kept}
        now = together[0]
        self.view = HostView(
            at_s=now.taken_at_s,
            host=now.host.hostname,
            namespaces=[model.namespace for model in self._round],
            interval_s=self._round[0].elapsed_s,
            rows=[row for model in self._round for row in model.rows],
            targets=_busiest(target for model in self._round for target in model.targets()),
            peers=_peers(self._round),
            totals=_totals(self._round),
            verdict=self._verdict(),
            unobserved=_unobserved(together),
        )
        return self.view

    def history(self, key: Key) -> Sequence[QueueSample]:
        """The samples of one listener, oldest first; none where it was never seen or is long gone."""
        model = self._models.get(key[0])
        return model.history(key) if model is not None else ()

    def last_row(self, key: Key) -> ListenerRow | None:
        """The listener as it was last seen, though it may have closed since."""
        model = self._models.get(key[0])
        return model.last_row(key) if model is not None else None

    def diagnosis_of(self, key: Key) -> Diagnosis | None:
        """The judge's word as if this listener were the only one; None where it does not listen any more."""
        model = self._models.get(key[0])
        return model.diagnosis_of(key) if model is not None else None

    def _fed(self, taken: Snapshot) -> NamespaceModel:
        namespace = taken.namespace
        model = self._models.setdefault(namespace, NamespaceModel(namespace))
        model.feed(taken)
        return model

    def _verdict(self) -> Diagnosis | None:
        """The first namespace with a cause speaks; else the first one."""
        verdicts = [judge_snapshots(*model.window()) for model in self._round]
        return next((verdict for verdict in verdicts if verdict.cause is not None), verdicts[0] if verdicts else None)


def rounds(snapshots: Iterable[Snapshot]) -> list[list[Snapshot]]:
    """Snapshots in the order of a recording, grouped as they were taken: a namespace comes once a round."""
    grouped: list[list[Snapshot]] = []
    seen: set[NamespaceId] = set()
    for snapshot in snapshots:
        namespace = snapshot.namespace
        if not grouped or namespace in seen:
            grouped.append([])
            seen = set()
        grouped[-1].append(snapshot)
        seen.add(namespace)
    return grouped


def _busiest(targets: Iterable[Target]) -> list[Target]:
    return sorted(
        targets, key=lambda target: (-(target.fill or 0.0), -target.use.used, target.use.address, target.use.port)
    )[:MOST_TARGETS]


def _peers(models: Sequence[NamespaceModel]) -> list[ConnectionsByPeer]:
    counts: dict[str, int] = {}
    for model in models:
        for peer in model.census.peers if model.census is not None else ():
            counts[peer.address] = counts.get(peer.address, 0) + peer.sockets
    return [ConnectionsByPeer(*item) for item in sorted(counts.items(), key=lambda item: (-item[1], item[0]))][
        :MOST_TARGETS
    ]


def _totals(models: Sequence[NamespaceModel]) -> HostTotals:
    counted = [model for model in models if model.states is not None]
    states: dict[str, int] = {}
    for model in counted:
        for name, count in (model.states or {}).items():
            states[name] = states.get(name, 0) + count
    table = max((model for model in models if model.conntrack is not None), key=_conntrack_fill, default=None)
    return HostTotals(
        states=states if counted else None,
        states_age_s=max((model.states_age_s for model in counted), default=None),
        established=_sum(model.counter("Tcp.CurrEstab") for model in models),
        inuse=_sum(model.sockstat("TCP.inuse", "TCP6.inuse") for model in models),
        time_wait=_sum(model.sockstat("TCP.tw") for model in models),
        orphans=_sum(model.sockstat("TCP.orphan") for model in models),
        rates=rates.summed([model.rates for model in models]),
        accepted_per_s=_sum(model.accepted_per_s for model in models),
        conntrack=table.conntrack if table is not None else None,
        conntrack_drops_per_s=table.conntrack_drops_per_s if table is not None else None,
    )


def _conntrack_fill(model: NamespaceModel) -> float:
    table = model.conntrack or Conntrack()
    return (table.count or 0) / (table.maximum or 1)


def _sum(values: Iterable[Figure | None]) -> Figure | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _unobserved(together: Sequence[Snapshot]) -> list[tuple[str, str]]:
    return list(
        dict.fromkeys(
            (gap.field, gap.why) for snapshot in together for gap in snapshot.unobserved if gap.why != PUT_OFF
        )
    )
