"""One network namespace in the live view: what its snapshots showed so far. Pure; `Model` joins several."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from estab.diagnose.accepts import PASSIVE_OPENS
from estab.diagnose.snapshots import judge_snapshots
from estab.kernel.formats.endpoint import is_unix
from estab.kernel.rules.accept_queue import drops_since
from estab.live import rates
from estab.live.judgement import ListenerFacts, judge
from estab.live.view import Key, ListenerRow, QueueSample, Target
from estab.records import Census, Conntrack, Diagnosis, Listener, NamespaceId, PortUse, Snapshot

WINDOW_S = 10.0  # the verdict is on what changed within the last so many seconds
GROWTH_S = 5.0  # and growth is the slope over so many
MOST_SAMPLES = 600  # a listener's history
_TREND = 60  # and what of it stands in its row
_FORGET_S = 120.0  # a listener that closed is forgotten after so long


class _ListenerHistory:
    """One listener's past."""

    def __init__(self) -> None:
        self.samples: deque[QueueSample] = deque(maxlen=MOST_SAMPLES)
        self.drops: int | None = None
        self.worst = 0
        self.unmoved_since_s: float | None = None
        self.row: ListenerRow | None = None

    def note(self, listener: Listener, at_s: float, elapsed_s: float | None) -> None:
        """One more look; `elapsed_s` since the one before."""
        dropped = (
            drops_since(self.drops, listener.drops) if self.drops is not None and listener.drops is not None else None
        )
        last = self.samples[-1] if self.samples else None
        if listener.depth <= 0 or last is None or listener.depth < last.depth:
            self.unmoved_since_s = at_s if listener.depth > 0 else None
        elif self.unmoved_since_s is None:
            self.unmoved_since_s = at_s
        self.drops = listener.drops
        self.worst = max(self.worst, listener.depth, listener.worst_depth or 0)
        self.samples.append(QueueSample(at_s, listener.depth, rates.per_second(dropped, elapsed_s)))

    def growth_per_s(self, now_s: float) -> float | None:
        """The slope of the depth since it last fell, over GROWTH_S at most and the last two looks at least."""
        points: list[tuple[float, float]] = []
        for sample in reversed(self.samples):
            old = now_s - sample.at_s > GROWTH_S and len(points) >= 2
            if old or (points and sample.depth > points[-1][1]):
                break
            points.append((sample.at_s, sample.depth))
        return rates.growth_per_s(points)


class NamespaceModel:
    """`feed` takes the namespace's next snapshot; the rest is what is known then."""

    def __init__(self, namespace: NamespaceId) -> None:
        self.namespace = namespace
        self.elapsed_s: float | None = None
        self.rates: dict[str, float] | None = None
        self.accepted_per_s: float | None = None
        self.states: dict[str, int] | None = None
        self.census: Census | None = None
        self.rows: list[ListenerRow] = []
        self.conntrack_drops_per_s: float | None = None
        self._states_at_s = self._targets_at_s = math.nan
        self._targets: list[PortUse] = []
        self._histories: dict[Key, _ListenerHistory] = {}
        self._window: deque[Snapshot] = deque()
        self._now: Snapshot | None = None

    def feed(self, taken: Snapshot) -> None:
        """One more moment. What a snapshot does not hold (a census, not taken at every look) stays as last seen."""
        before, self._now = self._now, taken
        self.elapsed_s = rates.elapsed_s(before.taken_at_s if before else None, taken.taken_at_s)
        self.rates = rates.counter_rates(before.counters if before else None, taken.counters, self.elapsed_s)
        self.accepted_per_s = rates.per_second(_accepted(before, taken), self.elapsed_s)
        self.conntrack_drops_per_s = _conntrack_drops(before, taken, self.elapsed_s)
        self.census = taken.census or self.census
        if taken.states is not None:
            self.states, self._states_at_s = taken.states, taken.taken_at_s
        if (targets := taken.targets or ([taken.port_use] if taken.port_use else None)) is not None:
            self._targets, self._targets_at_s = targets, taken.taken_at_s
        elif taken.targets is not None:
            self._targets, self._targets_at_s = [], taken.taken_at_s
        self.rows = [self._row(listener, taken) for listener in taken.all_listeners]
        self._forget(taken.taken_at_s)
        self._window.append(taken)
        while len(self._window) > 2 and taken.taken_at_s - self._window[1].taken_at_s >= WINDOW_S:
            self._window.popleft()

    @property
    def conntrack(self) -> Conntrack | None:
        """The table now."""
        return self._now.conntrack if self._now is not None else None

    @property
    def states_age_s(self) -> float:
        """How old `states` are."""
        return self._age(self._states_at_s)

    def counter(self, name: str) -> int | None:
        """A counter as it stands, for those that are gauges."""
        return ((self._now.counters if self._now else None) or {}).get(name)

    def sockstat(self, *names: str) -> int | None:
        """The sum of these figures of sockstat; None where none was read."""
        figures = (self._now.sockstat if self._now else None) or {}
        known = [figures[name] for name in names if name in figures]
        return sum(known) if known else None

    def targets(self) -> list[Target]:
        """The busiest targets, as they were last counted."""
        age = self._age(self._targets_at_s)
        return [Target(use, _name(self.namespace), age) for use in self._targets]

    def history(self, key: Key) -> Sequence[QueueSample]:
        """A listener's samples, oldest first."""
        history = self._histories.get(key)
        return list(history.samples) if history is not None else ()

    def last_row(self, key: Key) -> ListenerRow | None:
        """A listener as it was last seen."""
        history = self._histories.get(key)
        return history.row if history is not None else None

    def window(self) -> tuple[Snapshot | None, Snapshot]:
        """What the judge compares: a moment some WINDOW_S ago (None: there is one moment alone), and now."""
        assert self._now is not None, "feed comes first"
        before = self._window[0] if len(self._window) > 1 else None
        return before, self._with_ports(self._now)

    def diagnosis_of(self, key: Key) -> Diagnosis | None:
        """The verdict as if this listener were alone."""
        before, now = self.window()
        if not any(self._key(listener) == key for listener in now.all_listeners):
            return None
        return judge_snapshots(before and self._only(before, key), self._only(now, key))

    def _only(self, taken: Snapshot, key: Key) -> Snapshot:
        def only(listeners: list[Listener] | None) -> list[Listener] | None:
            return None if listeners is None else [each for each in listeners if self._key(each) == key]

        return taken.replace(listeners=only(taken.listeners), unix_listeners=only(taken.unix_listeners))

    def _with_ports(self, taken: Snapshot) -> Snapshot:
        """The judge looks at one target: the one whose ports are fullest."""
        fullest = max(self.targets(), key=lambda target: target.fill or 0.0, default=None)
        return taken if taken.port_use is not None or fullest is None else taken.replace(port_use=fullest.use)

    def _key(self, listener: Listener) -> Key:
        return self.namespace, listener.family, listener.address, listener.port, listener.inode

    def _row(self, listener: Listener, taken: Snapshot) -> ListenerRow:
        key = self._key(listener)
        history = self._histories.setdefault(key, _ListenerHistory())
        history.note(listener, taken.taken_at_s, self.elapsed_s)
        dropped, growth = history.samples[-1].drops_per_s, history.growth_per_s(taken.taken_at_s)
        since = history.unmoved_since_s
        overflows = (self.rates or {}).get(rates.OVERFLOWS)
        facts = ListenerFacts(
            depth=listener.depth,
            limit=listener.limit,
            drops_per_s=dropped,
            growth_per_s=growth,
            unmoved_s=None if since is None else taken.taken_at_s - since,
            overflows=None if overflows is None else overflows > 0,
            owners=tuple(listener.owners or ()),
            is_unix=is_unix(listener.address),
        )
        history.row = ListenerRow(
            key=key,
            address=listener.address,
            port=listener.port,
            netns=_name(self.namespace),
            depth=listener.depth,
            limit=listener.limit,
            worst=history.worst,
            drops_per_s=dropped,
            growth_per_s=growth,
            owners=facts.owners,
            judgement=judge(facts),
            trend=tuple(sample.depth for sample in list(history.samples)[-_TREND:]),
        )
        return history.row

    def _forget(self, now_s: float) -> None:
        gone = [key for key, history in self._histories.items() if now_s - history.samples[-1].at_s > _FORGET_S]
        for key in gone:
            del self._histories[key]

    def _age(self, at_s: float) -> float:
        age = (self._now.taken_at_s if self._now else math.nan) - at_s
        return max(0.0, age) if math.isfinite(age) else 0.0


def _name(namespace: NamespaceId) -> str:
    """How people call a namespace: its name or PID; the own one has none."""
    return namespace[2] or ""


def _accepted(before: Snapshot | None, after: Snapshot) -> int | None:
    """How many connections all listeners accepted in between: what arrived, less what the queues grew by.

    PassiveOpens counts what joins a queue (docs/kernel.md rule 2). The looks at the two are not of one instant.
    """
    if before is None or before.listeners is None or after.listeners is None:
        return None
    arrived = rates.rose((before.counters or {}).get(PASSIVE_OPENS), (after.counters or {}).get(PASSIVE_OPENS))
    waiting = [sum(max(0, listener.depth) for listener in at.listeners or ()) for at in (before, after)]
    return None if arrived is None else max(0, arrived - (waiting[1] - waiting[0]))


def _conntrack_drops(before: Snapshot | None, after: Snapshot, seconds: float | None) -> float | None:
    then, now = (before.conntrack if before else None), after.conntrack
    if then is None or now is None:
        return None
    pairs = ((then.drop, now.drop), (then.early_drop, now.early_drop), (then.insert_failed, now.insert_failed))
    known = [change for pair in pairs if (change := rates.rose(*pair)) is not None]
    return rates.per_second(sum(known), seconds) if known else None
