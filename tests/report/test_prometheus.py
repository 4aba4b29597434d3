"""Snapshots and a diagnosis as metric families: names, bounds, hostile names, and what is not known."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from tests.diagnose import runs

from estab.diagnose import judge_snapshots
from estab.diagnose.suspects import BY_ID
from estab.records import Conntrack, Listener, Nic, PortUse, Process, Snapshot, Unobserved
from estab.report.prometheus import ListenerTotals, NamespaceMetrics, OwnCost, families
from estab.report.prometheus_names import process_names

COST = OwnCost({"snapshot": 0.25, "sample": 0.5}, {"snapshot": 3, "sample": 40}, {"own": 2}, 0.02)


@dataclass
class Given(Collector):
    metrics: list[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


def text_of(*views: NamespaceMetrics, most: int = 250, cost: OwnCost = COST) -> str:
    return generate_latest(Given(list(families(views, cost, "0.1.0", most_listeners=most)))).decode()


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def named(text: str, name: str, **labels: str) -> list[float]:
    wanted = set(labels.items())
    return [value for (called, have), value in samples(text).items() if called == name and wanted <= set(have)]


def listener(port: int = 80, depth: int = 0, limit: int = 511, **fields: Any) -> Listener:
    owners = [Process(pid=9, name="nginx", fds=20, nofile_soft=1024)]
    values: dict[str, Any] = {"family": 4, "address": "0.0.0.0", "inode": port, "owners": owners, **fields}
    return Listener(port=port, depth=depth, limit=limit, **values)


def view(
    *listeners: Listener, totals: Mapping[tuple[str, int], ListenerTotals] | None = None, **fields: Any
) -> NamespaceMetrics:
    taken = runs.snapshot(listeners=list(listeners), **fields)
    return NamespaceMetrics("own", taken, judge_snapshots(None, taken), totals or {})


def test_a_unix_socket_is_shown_once_something_waited_there() -> None:
    used, idle = (listener(0, family=1, address=f"unix:/run/{name}", inode=inode) for inode, name in enumerate("ab"))
    totals = {("unix:/run/a", 0): ListenerTotals(None, 2.0, True), ("unix:/run/b", 0): ListenerTotals(None, 0.0)}
    text = text_of(view(listener(), unix_listeners=[used, idle], totals=totals))
    assert named(text, "estab_listener_full_seconds_total", address="unix:/run/a", port="", process="nginx") == [2.0]
    assert named(text, "estab_listener_queue_limit", address="unix:/run/b") == []
    assert named(text, "estab_listener_drops_total", address="unix:/run/a") == []


def test_what_promtool_has_to_say_of_the_text() -> None:
    full = view(
        listener(),
        nics=[Nic(name="ens5", allowances={"bw_in_allowance_exceeded": 3, "conntrack_allowance_available": 70})],
        conntrack=Conntrack(count=1, maximum=9, drop=0, early_drop=0, insert_failed=0),
        counters={"TcpExt.ListenOverflows": 5},
        states={"ESTAB": 3},
    )
    if shutil.which("promtool") is None:
        pytest.skip("no promtool: apt-get install prometheus")
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text_of(full), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_cause_is_there_whatever_was_seen() -> None:
    for namespace in (view(), view(listener(depth=512))):
        have = {dict(labels)["cause"] for name, labels in samples(text_of(namespace)) if name == "estab_cause"}
        assert have == BY_ID.keys()


def test_one_cause_at_most_is_met_and_what_is_not_seen_is_told_from_what_is_not_so() -> None:
    text = text_of(view(listener(depth=512)))
    assert named(text, "estab_cause", cause="accept_queue_overflow") == [1]
    assert sum(named(text, "estab_cause")) == 1
    assert named(text, "estab_cause_observed", cause="accept_queue_overflow") == [1]
    assert named(text, "estab_cause_observed", cause="path_syn_loss") == [0]


def test_a_listener_with_all_that_is_known_of_it() -> None:
    totals = {("0.0.0.0", 80): ListenerTotals(7, 1.5)}
    text = text_of(view(listener(depth=3, worst_depth=400), totals=totals))
    labels = {"address": "0.0.0.0", "port": "80", "process": "nginx", "namespace": "own"}
    assert named(text, "estab_listener_queue_depth", **labels) == [3]
    assert named(text, "estab_listener_queue_limit", **labels) == [511]
    assert named(text, "estab_listener_queue_worst_depth", **labels) == [400]
    assert named(text, "estab_listener_drops_total", **labels) == [7]
    assert named(text, "estab_listener_full_seconds_total", **labels) == [1.5]
    assert named(text, "estab_listener_sockets", **labels) == [1]
    assert named(text, "estab_process_open_fds", process="nginx") == [20]
    assert named(text, "estab_process_max_fds", process="nginx") == [1024]


def test_sockets_of_one_port_are_one_series_that_shows_the_fullest() -> None:
    shared = [listener(depth=depth, limit=8, inode=depth) for depth in (0, 9, 4)]
    text = text_of(view(*shared))
    assert named(text, "estab_listener_queue_depth") == [9]
    assert named(text, "estab_listener_sockets") == [3]


def test_beyond_the_bound_the_quiet_ones_stand_together() -> None:
    many = [listener(port, depth=port % 5) for port in range(1000, 1100)]
    totals = {("0.0.0.0", port): ListenerTotals(1 if port == 1099 else 0, 0.0) for port in range(1000, 1100)}
    text = text_of(view(*many, totals=totals), most=10)
    assert len(named(text, "estab_listener_queue_depth")) == 11
    assert named(text, "estab_listener_drops_total", port="1099") == [1], "what is in trouble is named"
    assert named(text, "estab_listener_queue_depth", port="1000") == [0]
    assert named(text, "estab_listener_queue_depth", port="1010") == []
    assert named(text, "estab_listener_sockets", address="other", port="other", process="other") == [90]
    assert named(text, "estab_listener_queue_depth", address="other") == [4]


def test_unknown_is_absent_and_never_0() -> None:
    taken = Snapshot(taken_at_s=1.0, host=runs.HOST, listeners=[listener(owners=None)])
    text = text_of(NamespaceMetrics("own", taken, judge_snapshots(None, taken)))
    assert named(text, "estab_listener_drops_total") == []
    assert named(text, "estab_process_open_fds") == []
    assert named(text, "estab_conntrack_entries") == []
    assert named(text, "estab_sockets") == []
    assert named(text, "estab_target_ports_used") == []
    assert named(text, "estab_tcp_listen_overflows_total") == []
    assert named(text, "estab_listener_queue_depth", process="") == [0]


def test_a_known_count_of_none_is_0() -> None:
    text = text_of(view(states={"ESTAB": 3}))
    assert named(text, "estab_sockets", state="ESTAB") == [3]
    assert named(text, "estab_sockets", state="TIME-WAIT") == [0]


def test_a_namespace_that_cannot_be_looked_at() -> None:
    text = text_of(view(), NamespaceMetrics("web"), cost=OwnCost({}, {}, {"web": 4}))
    assert named(text, "estab_observation_success", namespace="own") == [1]
    assert named(text, "estab_observation_success", namespace="web") == [0]
    assert named(text, "estab_observation_errors_total", namespace="web") == [4]
    assert named(text, "estab_cause", namespace="web") == []


def test_ports_towards_targets() -> None:
    taken = runs.snapshot()
    use = PortUse(
        address="10.0.0.5", port=443, used=300, time_wait=40, sources=2, worst_source_used=200, capacity=1000, bound=50
    )
    text = text_of(NamespaceMetrics("own", taken, None, {}, [use], (7, 90, 3)))
    labels = {"address": "10.0.0.5", "port": "443"}
    assert named(text, "estab_target_ports_used", **labels) == [200]
    assert named(text, "estab_target_ports_limit", **labels) == [950]
    assert named(text, "estab_target_sockets", **labels) == [300]
    assert named(text, "estab_target_time_wait_sockets", **labels) == [40]
    assert named(text, "estab_targets_other") == [7]
    assert named(text, "estab_target_sockets", address="other") == [90]


def test_allowances_and_tables() -> None:
    allowances = {"conntrack_allowance_exceeded": 5, "bw_in_allowance_exceeded": 6, "conntrack_allowance_available": 70}
    namespace = view(
        nics=[Nic(name="ens5", allowances=allowances), Nic(name="lo")],
        conntrack=Conntrack(count=9, maximum=100, drop=3),
        counters={"TcpExt.ListenOverflows": 5, "TcpExt.Unheard": 1},
    )
    text = text_of(namespace)
    exceeded = "estab_nic_allowance_exceeded_packets_total"
    assert named(text, exceeded, device="ens5", allowance="conntrack") == [5]
    assert named(text, exceeded, device="ens5", allowance="bw_in") == [6]
    assert named(text, "estab_nic_allowance_available", allowance="conntrack") == [70]
    assert named(text, "estab_conntrack_entries") == [9]
    assert named(text, "estab_conntrack_failures_total") == [3]
    assert named(text, "estab_tcp_listen_overflows_total") == [5]
    assert "Unheard" not in text


def test_of_owners_with_one_name_the_nearest_to_its_limit_is_shown() -> None:
    owners = [Process(pid=pid, name="worker", fds=fds, nofile_soft=100) for pid, fds in ((1, 9), (2, 97), (3, 50))]
    text = text_of(view(listener(owners=owners)))
    assert named(text, "estab_process_open_fds") == [97]


def test_what_could_not_be_read_makes_no_new_series_when_a_number_changes() -> None:
    whys = [f"the descriptors of {number} processes may not be read, cgroup v2" for number in (3, 1_234)]
    texts = [text_of(view(unobserved=[Unobserved(field="listeners.owners", why=why)])) for why in whys]
    lines = [[line for line in text.splitlines() if line.startswith("estab_unobserved{")] for text in texts]
    assert lines[0] == lines[1]
    assert "of # processes" in lines[0][0]
    assert "cgroup v2" in lines[0][0]


def test_costs() -> None:
    text = text_of(view())
    assert named(text, "estab_observation_cpu_seconds_total", part="sample") == [0.5]
    assert named(text, "estab_observations_total", part="snapshot") == [3]
    assert named(text, "estab_observation_errors_total") == [2]
    assert named(text, "estab_observation_seconds") == [0.02]
    assert named(text, "estab_build_info", version="0.1.0") == [1]


def test_names_of_owners() -> None:
    def called(*names: str | None) -> str:
        return process_names([Process(pid=1, name=name) for name in names])

    assert called("nginx", "nginx") == "nginx"
    assert called("sshd", "systemd") == "sshd,systemd"
    assert called("e", "d", "c", "b", "a") == "a,b,c,..."
    assert called() == called(None) == ""
    assert called("a,b\n") == "a?b?"
    assert called("x" * 99) == "x" * 15


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_name_breaks_the_text(name: str, address: str) -> None:
    """Neither a process, which may call itself anything, nor a record from elsewhere."""
    address = address.encode("utf-8", "replace").decode()
    namespace = view(listener(address=address, owners=[Process(pid=1, name=name, fds=1, nofile_soft=9)]))
    text = text_of(namespace)
    assert named(text, "estab_listener_queue_depth", address=address) == [0]
    assert sum(line.startswith("estab_listener_queue_depth{") for line in text.split("\n")) == 1
