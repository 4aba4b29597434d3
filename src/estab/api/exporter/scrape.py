"""What one scrape shows: every namespace looked at, at most so often, as Prometheus' text."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

import estab
from estab.api.exporter.namespace import NamespaceWatch
from estab.errors import EstabError
from estab.observe.pace import Pace
from estab.report.prometheus import NamespaceMetrics, OwnCost, families

# Whoever asks more often gets the same text again; and however dear a look is, it takes no more than a twentieth.
_FRESH_S = 0.25
_LOOK_SHARE = 0.05


@dataclass(frozen=True)
class ExportScope:
    """What is scope. `namespaces`: names below /run/netns, or PIDs, looked into beside the own one.

    So many `listeners` and `targets` are named in each, 1 to 100,000; the others are summed up.
    """

    namespaces: tuple[str, ...] = ()
    listeners: int = 250
    targets: int = 10


class Scrapes(Collector):
    """Looks, samples, and text. Used by one thread at a time. A context manager: it holds netlink sockets."""

    def __init__(self, scope: ExportScope, window_s: float) -> None:
        names = dict.fromkeys(scope.namespaces)
        self._watches = [NamespaceWatch(name, window_s, scope.targets) for name in (None, *names)]
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
        for watch in self._watches:
            watch.close()

    def begin(self) -> None:
        """The first look, which later ones are judged against. Raises EstabError where a namespace can't be entered."""
        self._views = [watch.look() for watch in self._watches]

    def sample(self) -> float:
        """Every queue now. Returns how many seconds it took."""
        began = time.monotonic()
        with self._counted("sample"):
            for watch in self._watches:
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
            self._views = [self._look(watch) for watch in self._watches]
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
        cost = OwnCost(self._seconds, self._times, self._errors, self._last_s)
        yield from families(self._views, cost, estab.__version__, most_listeners=self._most_listeners)
        yield from self._process.collect()

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
