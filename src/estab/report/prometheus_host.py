"""What a namespace as a whole shows, as Prometheus metric families: sockets by state, tables, interfaces, counters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from estab.kernel.rules.cloud_flows import EXCEEDED
from estab.records import Nic, Snapshot
from estab.report.prometheus_names import COUNTERS, NAMESPACE, STATES

_MOST_NICS = 32
_ALLOWANCE = "_allowance_"


def host_families(seen: Sequence[tuple[str, Snapshot]]) -> Iterator[Metric]:
    """The families of all namespaces, given by name, always the same ones in the same order."""
    yield from _sockets(seen)
    yield from _conntrack(seen)
    yield from _nics(seen)
    yield from _counters(seen)


def _sockets(seen: Iterable[tuple[str, Snapshot]]) -> list[Metric]:
    states = GaugeMetricFamily("estab_sockets", "TCP sockets by state.", labels=(NAMESPACE, "state"))
    limit = GaugeMetricFamily(
        "estab_time_wait_sockets_limit",
        "net.ipv4.tcp_max_tw_buckets: beyond so many in TIME-WAIT the kernel closes at once.",
        labels=(NAMESPACE,),
    )
    for namespace, snapshot in seen:
        for state in STATES if snapshot.states is not None else ():
            states.add_metric((namespace, state), (snapshot.states or {}).get(state, 0))
        value = (snapshot.sysctls or {}).get("net.ipv4.tcp_max_tw_buckets")
        if isinstance(value, list) and value:
            limit.add_metric((namespace,), value[0])
    return [states, limit]


def _conntrack(seen: Iterable[tuple[str, Snapshot]]) -> list[Metric]:
    entries = GaugeMetricFamily("estab_conntrack_entries", "Connections tracked now.", labels=(NAMESPACE,))
    limit = GaugeMetricFamily(
        "estab_conntrack_entries_limit",
        "net.netfilter.nf_conntrack_max: a new connection beyond it is dropped.",
        labels=(NAMESPACE,),
    )
    lost = CounterMetricFamily(
        "estab_conntrack_failures",
        "Packets dropped for lack of a table entry (drop), entries thrown out early (early_drop), and entries that "
        "could not be entered (insert_failed), since boot.",
        labels=(NAMESPACE, "reason"),
    )
    for namespace, snapshot in seen:
        table = snapshot.conntrack
        if table is None:
            continue
        if table.count is not None:
            entries.add_metric((namespace,), table.count)
        if table.maximum is not None:
            limit.add_metric((namespace,), table.maximum)
        for reason in ("drop", "early_drop", "insert_failed"):
            value = getattr(table, reason)
            if value is not None:
                lost.add_metric((namespace, reason), value)
    return [entries, limit, lost]


def _nics(seen: Iterable[tuple[str, Snapshot]]) -> list[Metric]:
    labels = (NAMESPACE, "device", "allowance")
    lost = CounterMetricFamily(
        "estab_nic_allowance_exceeded_packets",
        f"Packets that the cloud queued or dropped beyond an allowance of the instance (ethtool -S of ENA: "
        f"{EXCEEDED} and its kin), since boot.",
        labels=labels,
    )
    left = GaugeMetricFamily(
        "estab_nic_allowance_available",
        "What is left of an allowance of the instance (ethtool -S of ENA: conntrack_allowance_available).",
        labels=labels,
    )
    for namespace, snapshot in seen:
        for nic in [nic for nic in snapshot.nics or () if nic.allowances][:_MOST_NICS]:
            for allowance, kind, value in _allowances(nic):
                (lost if kind == "exceeded" else left).add_metric((namespace, nic.name, allowance), value)
    return [lost, left]


def _allowances(nic: Nic) -> Iterator[tuple[str, str, int]]:
    """`bw_in_allowance_exceeded` as ("bw_in", "exceeded", its value)."""
    for name, value in sorted(nic.allowances.items()):
        allowance, separator, kind = name.rpartition(_ALLOWANCE)
        if separator and kind in ("exceeded", "available"):
            yield allowance, kind, value


def _counters(seen: Sequence[tuple[str, Snapshot]]) -> Iterator[Metric]:
    for source, (name, text) in COUNTERS.items():
        family = CounterMetricFamily(name, f"{text} ({source}, since boot).", labels=(NAMESPACE,))
        for namespace, snapshot in seen:
            value = (snapshot.counters or {}).get(source)
            if value is not None:
                family.add_metric((namespace,), value)
        yield family
