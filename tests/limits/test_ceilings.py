"""What `estab limits` predicts is what `estab hold` then meets: equal numbers."""

from __future__ import annotations

import os
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests import namespaces, servers
from tests.cli.terminal import estab, recorded, serving
from tests.limits.ladders import rung, shown

from estab.records import Limits, RunResult


@pytest.mark.parametrize("engine", ["c", "python"])
def test_descriptors_of_one_process(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under `ulimit -n 300`, against nginx."""
    monkeypatch.setenv("ESTAB_ENGINE", engine)
    with servers.nginx(tmp_path) as (target, _master):
        limits = shown(estab("limits", target, "--json", "-", nofile=300))
        run = recorded(estab("hold", target, "-n", "600", "-d", "0.2", "--json", "-", nofile=300))
    assert limits.binding == "client_open_files"
    assert len(run.client.workers) == 1
    assert limits.next_after[0] == ("client_open_files", run.funnel.connected)
    assert {(failure.phase, failure.errno) for failure in run.failures} == {("connect", "EMFILE")}


def test_descriptors_spread_over_processes(tmp_path: Path) -> None:
    """Asked for more than 1,000 for each core, `hold` has a process a core: the note says what that gives."""
    cores = len(os.sched_getaffinity(0))
    with servers.node_echo() as target:
        limits = shown(estab("limits", target, "--json", "-", nofile=300))
        asked = str(1_000 * cores)
        run = recorded(estab("hold", target, "-n", asked, "-d", "0.2", "--json", "-", nofile=300))
    assert len(run.client.workers) == cores
    assert f"gets {run.funnel.connected:,}, then client_open_files" in (rung(limits, "client_open_files").note or "")


def test_descriptors_of_the_server() -> None:
    """A server of ours under `ulimit -n 100`: what it accepts is what was predicted."""
    with serving(listen=f"127.0.0.1:{servers.closed_port()}", nofile=100) as (target, _process):
        limits = shown(estab("limits", target, "--json", "-"))
        run = recorded(estab("hold", target, "-n", "200", "-d", "0.5", "--json", "-"))
    assert limits.binding == "server_open_files"
    assert run.server.listener is not None
    assert run.server.listener.accepted_at_end == limits.next_after[0][1]


# Ports, in a namespace of their own --------------------------------------------------------------------------------


def _limits_then_hold(port: int, connections: int, before: int) -> tuple[Limits, RunResult]:
    """`estab limits`, then `estab hold`, against a server in this namespace; `before` holds that many first."""
    with serving(listen=f"127.0.0.1:{port}") as (target, _process):
        if before:
            assert estab("hold", target, "-n", str(before), "-d", "0.1", "--quiet").returncode == 0
            _until_closed(port)
        ladder = shown(estab("limits", target, "--json", "-"))
        held = recorded(estab("hold", target, "-n", str(connections), "-d", "0.2", "--json", "-"))
    return ladder, held


def _until_closed(port: int) -> None:
    """Returns once the kernel has closed all client sockets towards `port`, but for TIME_WAIT."""
    ss = [servers.program("ss"), "-Htan", "exclude", "time-wait", f"dport = :{port}"]
    namespaces.until(
        lambda: not subprocess.run(ss, capture_output=True, check=True).stdout, every_s=0.05, why="all are closed"
    )


def _in_namespace(
    sysctls: dict[str, Any], *, port: int = 5000, connections: int = 400, before: int = 0
) -> tuple[Limits, RunResult]:
    return namespaces.in_namespace(partial(_limits_then_hold, port, connections, before), sysctls=sysctls)


RANGE, RESERVED = "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports"
REUSE = "net.ipv4.tcp_tw_reuse"


@pytest.mark.namespace
@pytest.mark.parametrize(
    ("port", "sysctls", "ports"),
    [
        (5000, {RANGE: "40000 40199"}, 200),
        (40100, {RANGE: "40000 40199"}, 199),  # the listener's own port is lost
        (5000, {RANGE: "40000 40199", RESERVED: "40010-40019"}, 190),
        (40010, {RANGE: "40000 40199", RESERVED: "40010-40019"}, 190),  # lost already
    ],
)
def test_ports(port: int, sysctls: dict[str, str], ports: int) -> None:
    found, run = _in_namespace({**sysctls, REUSE: 0}, port=port)
    assert found.binding == "ephemeral_ports"
    assert {(failure.phase, failure.errno) for failure in run.failures} == {("connect", "EADDRNOTAVAIL")}
    assert found.next_after[0] == ("ephemeral_ports", ports)
    assert run.funnel.connected == ports


@pytest.mark.namespace
def test_ports_held_by_time_wait() -> None:
    """Not always 50: on loopback a late segment may end one early (RFC 1337)."""
    found, run = _in_namespace({RANGE: "40000 40199", REUSE: 0}, before=50)
    assert rung(found, "ephemeral_ports").used in range(1, 51)
    assert found.next_after[0] == ("ephemeral_ports", run.funnel.connected)


@pytest.mark.namespace
def test_time_wait_that_is_taken_over_is_not_counted() -> None:
    found, run = _in_namespace({RANGE: "40000 40199", REUSE: 2, "net.ipv4.tcp_tw_reuse_delay": 1}, before=50)
    assert rung(found, "ephemeral_ports").used == 0
    assert found.next_after[0] == ("ephemeral_ports", run.funnel.connected) == ("ephemeral_ports", 200)


@pytest.mark.namespace
def test_a_wide_range_is_multiplied_by_source_addresses() -> None:
    """2,000 ports are few but worth spreading: `hold` takes more of 127.0.0.0/8, and the ladder says so."""
    found, run = _in_namespace({RANGE: "40000 41999", REUSE: 0}, connections=5_000)
    assert rung(found, "ephemeral_ports").value == 2_000
    assert run.funnel.connected == 5_000
    assert "source addresses and gets" in (rung(found, "client_open_files").note or "")
