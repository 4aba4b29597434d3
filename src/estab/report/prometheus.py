"""What was seen of this host's namespaces, as Prometheus metric families. Pure: records in, families out.

Labels are bounded and stable. A listener is named by address, port (a UNIX socket has none) and the names of its
owners, never by a pid: a server that is restarted continues its series. What is beyond `most_listeners` stands under
`other`. Unknown is absent, never 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from estab.kernel.formats.endpoint import is_unix
from estab.kernel.rules import accept_queue
from estab.records import Diagnosis, Listener, PortUse, Process, ServiceName, Snapshot
from estab.report.prometheus_host import host_families
from estab.report.prometheus_names import (
    LISTENER_HELP,
    NAMESPACE,
    OTHER,
    PROCESS_HELP,
    TARGET_HELP,
    process_names,
    service_labels,
)

_LISTENER_LABELS = (NAMESPACE, "address", "port", "process")
_OWNER_LABELS = (*_LISTENER_LABELS, "unit", "container", "pod")
_TARGET_LABELS = (NAMESPACE, "address", "port")
_MOST_GAPS = 40
_NUMBER = re.compile(r"\b\d[\d,]*\b")


@dataclass(frozen=True)
class ListenerTotals:
    """Totals of one address and port: packets that its sockets dropped, seconds that one of them was full.

    `waited`: whether anything ever waited there to be accepted.
    """

    drops: int | None
    full_s: float
    waited: bool = False

    @property
    def troubled(self) -> bool:
        """Whether it ever was full or dropped anything."""
        return bool(self.drops) or self.full_s > 0


@dataclass(frozen=True)
class NamespaceMetrics:
    """One network namespace at one scrape. `snapshot` None: it could not be looked at.

    `totals` is by address and port of the listeners; None for `targets`: the ports were not counted.
    `other_targets` is how many more destinations there are, and the ports in use and in TIME_WAIT towards them.
    """

    name: str
    snapshot: Snapshot | None = None
    diagnosis: Diagnosis | None = None
    totals: Mapping[tuple[str, int], ListenerTotals] = field(default_factory=dict)
    targets: Sequence[PortUse] | None = None
    other_targets: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True)
class OwnCost:
    """What looking costs: CPU seconds and how often, by `snapshot`, `sample` and `render`; failures by namespace.

    `other_namespaces`: how many were found that are not looked into; None where none were searched.
    """

    seconds: Mapping[str, float]
    times: Mapping[str, int]
    errors: Mapping[str, int]
    last_s: float | None = None
    other_namespaces: int | None = None


def families(
    namespaces: Sequence[NamespaceMetrics], cost: OwnCost, version: str, *, most_listeners: int
) -> Iterator[Metric]:
    """Every family, the same ones in the same order whatever was seen."""
    seen = [(namespace.name, namespace.snapshot) for namespace in namespaces if namespace.snapshot is not None]
    yield InfoMetricFamily("estab_build", "The version of estab that answers.", value={"version": version})
    yield from _causes(namespaces)
    yield from _listeners(namespaces, most_listeners)
    yield from _owners(seen, most_listeners)
    yield from _targets(namespaces)
    yield from host_families(seen)
    yield from _observation(namespaces, cost)


# The judgement ------------------------------------------------------------------------------------------------------


def _causes(namespaces: Sequence[NamespaceMetrics]) -> list[Metric]:
    labels = (NAMESPACE, "cause", "side")
    confirmed = GaugeMetricFamily(
        "estab_cause",
        "1 where this is the cause that `estab diagnose` would name, from what changed within --window; else 0.",
        labels=labels,
    )
    possible = GaugeMetricFamily(
        "estab_cause_possible",
        "1 where the symptoms fit, and it is not decided or another cause comes before it; else 0.",
        labels=labels,
    )
    observed = GaugeMetricFamily(
        "estab_cause_observed",
        "0 where what would tell was not seen, so that the 0 of estab_cause excludes nothing; else 1.",
        labels=labels,
    )
    for namespace in namespaces:
        for suspect in namespace.diagnosis.suspects if namespace.diagnosis else ():
            values = (namespace.name, suspect.cause, suspect.side)
            confirmed.add_metric(values, suspect.verdict == "confirmed")
            possible.add_metric(values, suspect.verdict == "possible")
            observed.add_metric(values, suspect.verdict != "not_observed")
    return [confirmed, possible, observed]


# Listeners ----------------------------------------------------------------------------------------------------------


@dataclass
class _ListenAddress:
    """All sockets that listen at one address and port, or (`other`) all those that are not named."""

    address: str
    port: str
    sockets: list[Listener]
    drops: int | None
    full_s: float
    troubled: bool

    @property
    def fullest(self) -> Listener:
        return max(
            self.sockets, key=lambda listener: (listener.depth / accept_queue.room(listener.limit), listener.depth)
        )

    @property
    def worst_depth(self) -> int:
        return max(max(listener.depth, listener.worst_depth or 0) for listener in self.sockets)

    @property
    def service(self) -> ServiceName | None:
        """What the first owner belongs to that belongs to anything."""
        return next((owner.service for owner in self.owners if owner.service is not None), None)

    @property
    def owners(self) -> list[Process]:
        return [owner for listener in self.sockets for owner in listener.owners or ()]


def _listen_addresses(namespace: NamespaceMetrics, most: int) -> list[_ListenAddress]:
    """The named ones, those in trouble first, so that none of these is lost in `other`, which comes last."""
    by_address: dict[tuple[str, int], list[Listener]] = {}
    for listener in _shown(namespace):
        by_address.setdefault((listener.address, listener.port), []).append(listener)
    places = [_listen_address(address, port, sockets, namespace) for (address, port), sockets in by_address.items()]
    places.sort(key=lambda place: (not place.troubled, is_unix(place.address), int(place.port or 0), place.address))
    named, rest = places[:most], places[most:]
    return [*named, _other(rest)] if rest else named


def _shown(namespace: NamespaceMetrics) -> Iterator[Listener]:
    """All of TCP, and of UNIX sockets those at which something ever waited: a session's agent makes one a login."""
    if namespace.snapshot is None:
        return
    yield from namespace.snapshot.listeners or ()
    for listener in namespace.snapshot.unix_listeners or ():
        totals = namespace.totals.get((listener.address, listener.port))
        if totals is not None and totals.waited:
            yield listener


def _listen_address(address: str, port: int, sockets: list[Listener], namespace: NamespaceMetrics) -> _ListenAddress:
    totals = namespace.totals.get((address, port), ListenerTotals(None, 0.0))
    shown = "" if is_unix(address) else str(port)
    return _ListenAddress(address, shown, sockets, totals.drops, totals.full_s, totals.troubled)


def _other(rest: list[_ListenAddress]) -> _ListenAddress:
    drops = [place.drops for place in rest if place.drops is not None]
    full_s = sum(place.full_s for place in rest)
    sockets = [socket for place in rest for socket in place.sockets]
    return _ListenAddress(OTHER, OTHER, sockets, sum(drops) if drops else None, full_s, False)


def _listeners(namespaces: Sequence[NamespaceMetrics], most: int) -> list[Metric]:
    gauges = {
        key: GaugeMetricFamily(f"estab_listener_{key}", LISTENER_HELP[key], labels=_LISTENER_LABELS)
        for key in ("queue_depth", "queue_limit", "queue_worst_depth", "sockets")
    }
    counters = {
        key: CounterMetricFamily(f"estab_listener_{key}", LISTENER_HELP[key], labels=_LISTENER_LABELS)
        for key in ("drops", "full_seconds")
    }
    owner = GaugeMetricFamily("estab_listener_owner_info", LISTENER_HELP["owner"], labels=_OWNER_LABELS)
    for namespace in namespaces:
        for place in _listen_addresses(namespace, most):
            # The processes of all that are not named have nothing to say together.
            process = OTHER if place.address == OTHER else process_names(place.owners)
            values = (namespace.name, place.address, place.port, process)
            fullest = place.fullest
            gauges["queue_depth"].add_metric(values, fullest.depth)
            gauges["queue_limit"].add_metric(values, fullest.limit)
            gauges["queue_worst_depth"].add_metric(values, place.worst_depth)
            gauges["sockets"].add_metric(values, len(place.sockets))
            counters["full_seconds"].add_metric(values, place.full_s)
            if place.drops is not None:
                counters["drops"].add_metric(values, place.drops)
            if place.address != OTHER and (service := place.service) is not None:
                owner.add_metric((*values, *service_labels(service)), 1)
    return [*gauges.values(), *counters.values(), owner]


def _owners(seen: Iterable[tuple[str, Snapshot]], most: int) -> list[Metric]:
    labels = (NAMESPACE, "process")
    used = GaugeMetricFamily("estab_process_open_fds", PROCESS_HELP["open_fds"], labels=labels)
    limit = GaugeMetricFamily("estab_process_max_fds", PROCESS_HELP["max_fds"], labels=labels)
    for namespace, snapshot in seen:
        for name, process in _fullest_owners(snapshot)[:most]:
            used.add_metric((namespace, name), process.fds or 0)
            limit.add_metric((namespace, name), process.nofile_soft or 0)
    return [used, limit]


def _fullest_owners(snapshot: Snapshot) -> list[tuple[str, Process]]:
    """Of the listeners' owners with one name the one that is nearest to its limit; the fullest first."""
    fullest: dict[str, Process] = {}
    for listener in snapshot.listeners or ():
        for owner in listener.owners or ():
            name = process_names([owner])
            if owner.fds is None or not owner.nofile_soft or not name:
                continue
            if name not in fullest or _fill(owner) > _fill(fullest[name]):
                fullest[name] = owner
    return sorted(fullest.items(), key=lambda item: (-_fill(item[1]), item[0]))


def _fill(process: Process) -> float:
    return (process.fds or 0) / (process.nofile_soft or 1)


# Ports ---------------------------------------------------------------------------------------------


def _targets(namespaces: Sequence[NamespaceMetrics]) -> list[Metric]:
    families = {
        key: GaugeMetricFamily(f"estab_target_{key}", text, labels=_TARGET_LABELS) for key, text in TARGET_HELP.items()
    }
    others = GaugeMetricFamily(
        "estab_targets_other",
        "Destinations that are not named: they stand together under `other`.",
        labels=(NAMESPACE,),
    )
    for namespace in namespaces:
        if namespace.targets is None:
            continue
        for use in namespace.targets:
            values = (namespace.name, use.address, str(use.port))
            families["ports_used"].add_metric(
                values, use.used if use.worst_source_used is None else use.worst_source_used
            )
            families["sockets"].add_metric(values, use.used)
            families["time_wait_sockets"].add_metric(values, use.time_wait)
            if use.capacity is not None:
                families["ports_limit"].add_metric(values, max(0, use.capacity - (use.bound or 0)))
        count, used, time_wait = namespace.other_targets
        others.add_metric((namespace.name,), count)
        if count:
            families["sockets"].add_metric((namespace.name, OTHER, OTHER), used)
            families["time_wait_sockets"].add_metric((namespace.name, OTHER, OTHER), time_wait)
    return [*families.values(), others]


# The exporter itself ------------------------------------------------------------------------------------------------


def _observation(namespaces: Sequence[NamespaceMetrics], cost: OwnCost) -> list[Metric]:
    up = GaugeMetricFamily(
        "estab_observation_success", "1 where this namespace could be looked at; else 0.", labels=(NAMESPACE,)
    )
    gaps = GaugeMetricFamily(
        "estab_unobserved", "1 for each thing that could not be read.", labels=(NAMESPACE, "field", "why")
    )
    taken = GaugeMetricFamily("estab_observation_timestamp_seconds", "Unix time of what is shown.", labels=(NAMESPACE,))
    errors = CounterMetricFamily("estab_observation_errors", "Looks at a namespace that failed.", labels=(NAMESPACE,))
    seconds = CounterMetricFamily(
        "estab_observation_cpu_seconds",
        "CPU time spent on snapshots, on the samples between them, and on writing this text.",
        labels=("part",),
    )
    times = CounterMetricFamily("estab_observations", "How often each was done.", labels=("part",))
    others = GaugeMetricFamily(
        "estab_namespaces_other", "Network namespaces that were found and are not looked into: there are too many."
    )
    last = GaugeMetricFamily("estab_observation_seconds", "How long the last look at all namespaces took.")
    for namespace in namespaces:
        up.add_metric((namespace.name,), namespace.snapshot is not None)
        errors.add_metric((namespace.name,), cost.errors.get(namespace.name, 0))
        if namespace.snapshot is not None:
            taken.add_metric((namespace.name,), namespace.snapshot.taken_at_s)
            for name, why in _gaps(namespace.snapshot):
                gaps.add_metric((namespace.name, name, why), 1)
    for part, value in cost.seconds.items():
        seconds.add_metric((part,), value)
    for part, value in cost.times.items():
        times.add_metric((part,), value)
    if cost.last_s is not None:
        last.add_metric((), cost.last_s)
    if cost.other_namespaces is not None:
        others.add_metric((), cost.other_namespaces)
    return [up, gaps, taken, errors, seconds, times, last, others]


def _gaps(snapshot: Snapshot) -> list[tuple[str, str]]:
    """What could not be read, each once. A number in the reason would make a new series of each change."""
    reasons = {gap.field: _NUMBER.sub("#", gap.why) for gap in snapshot.unobserved}
    return sorted(reasons.items())[:_MOST_GAPS]
