"""One network namespace over time: samples between looks, looks, and what each is judged against."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from estab.api.exporter.history import History
from estab.diagnose.snapshots import judge_snapshots
from estab.errors import EstabError
from estab.observe import netns, snapshot, targets
from estab.observe.gaps import Gaps
from estab.observe.netns import Namespace
from estab.observe.owners import KnownOwners
from estab.observe.peaks import Peaks
from estab.observe.sock_diag import SockDiag
from estab.records import Listener, Snapshot
from estab.report.prometheus import ListenerTotals, NamespaceMetrics

OWN = "own"
# Gaps that do not count here: owners are searched by `KnownOwners`, and no metric and no look rests on the others.
_ELSEWHERE = ("listeners.owners", "unix_listeners.owners", "cgroup", "security")


class NamespaceWatch:
    """Looks into one namespace; `name` None is the own one. Used by one thread at a time.

    `window_s` is how far back a look is judged, as `History` says. `found`: where the namespace is, for one that a
    search found; else it is looked for by its name at each look.
    """

    def __init__(self, name: str | None, window_s: float, most_targets: int, found: Namespace | None = None) -> None:
        self.label = name or OWN
        self.found = found
        self._name = name
        self._window_s = window_s
        self._most_targets = most_targets
        self._entered: _Entered | None = None

    def close(self) -> None:
        """Give the netlink socket back. May be called twice."""
        if self._entered is not None:
            self._entered.close()
            self._entered = None

    def sample(self) -> None:
        """The queues now. Nothing is raised: a look says what is wrong."""
        if self._entered is not None:
            self._entered.sample()

    def look(self) -> NamespaceMetrics:
        """A whole snapshot, judged. Raises EstabError or OSError where the namespace can't be looked at."""
        namespace = self.found or (netns.own() if self._name is None else netns.find(self._name))
        if self._entered is not None and self._entered.namespace.inode != namespace.inode:
            # A container that was started again has the name, and nothing else, of the one before.
            self.close()
        if self._entered is None:
            self._entered = _Entered(namespace, self._window_s)
        view = netns.inside(namespace, partial(self._entered.look, self._most_targets))
        return replace(view, name=self.label)


class _Entered:
    """What is kept of a namespace that is being looked into."""

    def __init__(self, namespace: Namespace, window_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.namespace = namespace
        self._clock = clock
        # The socket belongs to the namespace that it was made in, whatever thread asks it later.
        self._diag: SockDiag | None = netns.inside(namespace, lambda: Gaps().read("sock_diag", SockDiag))
        self._peaks = Peaks()
        self._owners = KnownOwners(clock)
        self._history = History(window_s)

    def close(self) -> None:
        if self._diag is not None:
            self._diag.close()

    def sample(self) -> None:
        if self._diag is None:
            return
        try:
            listeners = self._diag.listeners()
        except EstabError:
            return
        with suppress(EstabError):  # a kernel may show TCP's alone
            listeners += self._diag.unix_listeners()
        self._peaks.add(self._clock(), listeners)

    def look(self, most_targets: int) -> NamespaceMetrics:
        self.sample()
        gaps = Gaps()
        taken = snapshot.take(diag=self._diag, owner_pids=())
        taken = self._owned(taken, gaps)
        busiest = self._targets(taken, gaps, most_targets)
        taken = taken.replace(
            port_use=busiest.busiest[0] if busiest and busiest.busiest else None,
            unobserved=[gap for gap in taken.unobserved if not gap.field.startswith(_ELSEWHERE)] + gaps.found,
        )
        return self._judged(taken, busiest)

    def _owned(self, taken: Snapshot, gaps: Gaps) -> Snapshot:
        tcp, unix = taken.listeners, taken.unix_listeners
        filled = self._owners.fill([*(tcp or ()), *(unix or ())], gaps)
        of_tcp = len(tcp or ())
        return taken.replace(
            listeners=None if tcp is None else filled[:of_tcp],
            unix_listeners=None if unix is None else filled[of_tcp:],
        )

    def _targets(self, taken: Snapshot, gaps: Gaps, most: int) -> targets.Targets | None:
        diag = self._diag
        if diag is None:
            return None
        return gaps.read(
            "targets", lambda: targets.busiest(diag, taken.sysctls or {}, gaps, most=most, listeners=taken.listeners)
        )

    def _judged(self, taken: Snapshot, busiest: targets.Targets | None) -> NamespaceMetrics:
        base = self._history.add(self._clock(), taken, self._peaks.turn())
        shown = taken.replace(
            listeners=self._with_worst(taken.listeners), unix_listeners=self._with_worst(taken.unix_listeners)
        )
        return NamespaceMetrics(
            name=self.namespace.name or OWN,
            snapshot=shown,
            diagnosis=judge_snapshots(base, shown),
            totals={
                place: ListenerTotals(each.drops, each.full_s, each.waited)
                for place, each in self._peaks.totals.items()
            },
            targets=busiest.busiest if busiest else None,
            other_targets=(busiest.others, busiest.others_used, busiest.others_time_wait) if busiest else (0, 0, 0),
        )

    def _with_worst(self, listeners: list[Listener] | None) -> list[Listener] | None:
        if listeners is None:
            return None
        worst = self._history.worst
        return [each.replace(worst_depth=max(worst(each.inode or 0), each.depth)) for each in listeners]
