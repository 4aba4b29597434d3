"""Ports that are offered in turn: no search of a range that fills, and the kernel's answer where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.namespaces import in_namespace, sysctl

import estab
from estab import RunResult
from estab.api.machine import machine
from estab.load import plan
from estab.load.serving import Service, serving

pytestmark = pytest.mark.namespace
FIRST, LAST = 30_000, 31_999


def _in_a_range(connections: int) -> tuple[RunResult, int]:
    sysctl("net.ipv4.ip_local_port_range", f"{FIRST} {LAST}")
    sysctl("net.ipv4.ip_local_reserved_ports", f"{FIRST + 10}-{FIRST + 19}")
    with serving(Service("echo", port=5000)):
        run = estab.hold(
            "127.0.0.1:5000",
            connections=connections,
            duration_s=0.2,
            options=estab.LoadOptions(sources=("127.0.0.1",), processes=3),
            in_flight=100,
        )
    return run, machine().ports or 0


def test_every_port_of_the_range_is_found_and_no_reserved_one() -> None:
    run, ports = in_namespace(lambda: _in_a_range(1_990))
    assert ports == 1_990
    assert run.failures == []
    assert run.client.port_use is not None
    assert run.client.port_use.worst_source_used == 1_990


def test_one_more_is_the_kernels_refusal() -> None:
    run, _ports = in_namespace(lambda: _in_a_range(1_995))
    assert [(failure.phase, failure.errno, failure.count) for failure in run.failures] == [
        ("connect", "EADDRNOTAVAIL", 5)
    ]
    assert run.diagnosis is not None
    assert run.diagnosis.cause == "ephemeral_port_exhaustion"


def _slices(width: int) -> list[dict[str, int]]:
    here = plan.Machine(cores=2, nofile=20_000, ports=width, port_range=(FIRST, FIRST + width - 1))
    load = plan.ClientLoad(workload="hold", connections=300, duration_s=1.0, processes=3)
    made = plan.make(load, ("127.0.0.1", 5000, 0), here)
    return [{key: config[key] for key in ("port_low", "port_count")} for config in made.configs]


def test_each_worker_has_a_slice_of_its_own() -> None:
    found = _slices(2_000)
    assert sum(one["port_count"] for one in found) == 2_000
    ends = [(one["port_low"], one["port_low"] + one["port_count"]) for one in found]
    assert ends == [(30_000, 30_667), (30_667, 31_334), (31_334, 32_000)]


def test_a_narrow_range_is_left_to_the_kernel() -> None:
    assert _slices(999) == [{"port_low": 0, "port_count": 0}] * 3


def _churn() -> tuple[RunResult, str]:
    sysctl("net.ipv4.ip_local_port_range", f"{FIRST} {LAST}")
    sysctl("net.ipv4.tcp_tw_reuse", 0)
    with serving(Service("echo", port=5000)):
        run = estab.churn(
            "127.0.0.1:5000",
            connections=20,
            duration_s=0.5,
            size_bytes=1,
            options=estab.LoadOptions(sources=("127.0.0.1",)),
        )
    return run, Path("/proc/sys/net/ipv4/tcp_tw_reuse").read_text(encoding="ascii").strip()


def test_ports_in_time_wait_are_not_taken() -> None:
    """With tcp_tw_reuse off, each of the 2,000 ports gives one connection, and then none for a minute."""
    run, reuse = in_namespace(_churn)
    assert reuse == "0"
    # A RST that answers a late duplicate can end a TIME_WAIT early (docs/kernel.md, RFC 1337).
    assert 2_000 <= run.funnel.connected <= 2_040
    assert run.diagnosis is not None
    assert run.diagnosis.cause == "time_wait_port_exhaustion"
