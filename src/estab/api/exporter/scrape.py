"""What one scrape shows: every namespace looked at, at most so often, as Prometheus' text."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

import estab
from estab.api.exporter.namespace import NamespaceWatch
from estab.errors import EstabError
from estab.observe import netns
from estab.observe.pace import Pace
from estab.report.prometheus import NamespaceMetrics, OwnCost, families

# Whoever asks more often gets the same text again; and however dear a look is, it takes no more than a twentieth.
_FRESH_S = 0.25
_LOOK_SHARE = 0.05
_SEARCH_EVERY_S = 10.0
MOST_NAMESPACES = 250


@dataclass(frozen=True)
class ExportScope:
    """What is scope. `namespaces`: names below /run/netns, PIDs or containers, looked into beside the own one; with
    `all_netns` all that are found, at most MOST_NAMESPACES.

    So many `listeners` and `targets` are named in each, 1 to 100,000; the others are summed up.
    """

    namespaces: tuple[str, ...] = ()
    all_netns: bool = False
    listeners: int = 250
    targets: int = 10


class Scrapes(Collector):
    """Looks, samples, and text. Used by one thread at a time. A context manager: it holds netlink sockets."""

    def __init__(self, scope: ExportScope, window_s: float) -> None:
        names = dict.fromkeys(scope.namespaces)
        self._watches = [NamespaceWatch(name, window_s, scope.targets) for name in (None, *names)]
        self._search = _Search(window_s, scope.targets) if scope.all_netns else None
        self._most_listeners = scope.listeners
        self._views: list[NamespaceMetrics] = []
        self._text = b""
        self._pace = Pace(_LOOK_SHARE, _FRESH_S, cost=time.monotonic)
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._times: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._last_s: float | None = None
        self._process = ProcessCollector(registry=None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for watch in self._everywhere():
            watch.close()

    def begin(self) -> None:
        """The first look, which later ones are judged against. Raises EstabError where a namespace can't be entered."""
        self._views = [watch.look() for watch in self._watches]
        self._views += [self._look(watch) for watch in self._found()]

    def sample(self) -> float:
        """Every queue now. Returns how many seconds it took."""
        began = time.monotonic()
        with self._counted("sample"):
            for watch in self._everywhere():
                watch.sample()
        return time.monotonic() - began

    def text(self) -> bytes:
        """The exposition: of now, or of a moment ago where it was asked for a moment ago. Nothing is raised."""
        if self._pace.due:
            self._text = self._pace.spend(self._made)
        return self._text

    def _made(self) -> bytes:
        began = time.monotonic()
        with self._counted("snapshot"):
            self._views = [self._look(watch) for watch in [*self._watches, *self._found()]]
        self._last_s = time.monotonic() - began
        with self._counted("render"):
            return generate_latest(self)

    def unseen(self) -> list[str]:
        """What the last look could not read, as `namespace: field: why`."""
        return [
            f"{view.name}: {gap.field}: {gap.why}" for view in self._views if view.snapshot
            for gap in view.snapshot.unobserved
        ]  # fmt: skip

    def collect(self) -> Iterator[Metric]:
        """The families of the last look, and those of this process."""
        others = None if self._search is None else self._search.others
        cost = OwnCost(self._seconds, self._times, self._errors, self._last_s, others)
        yield from families(self._views, cost, estab.__version__, most_listeners=self._most_listeners)
        yield from self._process.collect()

    def _everywhere(self) -> list[NamespaceWatch]:
        return [*self._watches, *(self._search.watches.values() if self._search is not None else ())]

    def _found(self) -> list[NamespaceWatch]:
        """Those that a search finds, but those that were named; searched anew where that is due."""
        return [] if self._search is None else self._search.again({watch.label for watch in self._watches})

    def _look(self, watch: NamespaceWatch) -> NamespaceMetrics:
        try:
            return watch.look()
        except (EstabError, OSError):
            # The namespace is gone, or not to be entered any more: the others are shown, and this one as missing.
            self._errors[watch.label] += 1
            watch.close()
            return NamespaceMetrics(watch.label)

    @contextmanager
    def _counted(self, part: str) -> Iterator[None]:
        began = time.process_time()
        try:
            yield
        finally:
            self._seconds[part] += time.process_time() - began
            self._times[part] += 1


class _Search:
    """The namespaces of this host, found again now and then: a watch for each, at most MOST_NAMESPACES of them."""

    def __init__(self, window_s: float, most_targets: int) -> None:
        self.watches: dict[int, NamespaceWatch] = {}
        self.others = 0  # how many more there are, which are not looked into
        self._window_s, self._most_targets = window_s, most_targets
        self._pace = Pace(_LOOK_SHARE, _SEARCH_EVERY_S)

    def again(self, named: Collection[str]) -> list[NamespaceWatch]:
        """All of them; a namespace that is watched stays, others come in the order in which they are found."""
        if self._pace.due:
            self._note(self._pace.spend(netns.find_all).namespaces[1:], named)
        return list(self.watches.values())

    def _note(self, found: Sequence[netns.Namespace], named: Collection[str]) -> None:
        there = {space.inode: space for space in found if space.name not in named}
        for inode in self.watches.keys() - there.keys():
            self.watches.pop(inode).close()
        for inode, space in there.items():
            if inode in self.watches:
                self.watches[inode].found = space  # by the process that is in it now
            elif len(self.watches) < MOST_NAMESPACES:
                self.watches[inode] = NamespaceWatch(space.name, self._window_s, self._most_targets, space)
        self.others = len(there) - len(self.watches)
