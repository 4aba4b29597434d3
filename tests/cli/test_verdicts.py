"""The limits that the first judge names, each met for real; and healthy runs that accuse nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import servers
from tests.cli.terminal import estab, recorded, serving
from tests.namespaces import in_namespace

from estab import RunResult


def assert_verdict(run: RunResult, cause: str | None) -> None:
    assert run.diagnosis is not None
    assert run.diagnosis.cause == cause, run.diagnosis
    confirmed = [suspect.cause for suspect in run.diagnosis.suspects if suspect.verdict == "confirmed"]
    assert confirmed == ([cause] if cause else [])
    if cause is None:
        assert all(suspect.verdict != "possible" for suspect in run.diagnosis.suspects)


def test_server_not_accepting() -> None:
    with serving("stall", "--backlog", "128") as (target, _process):
        done = estab("hold", target, "-n", "400", "-d", "0.5", "--timeout", "1500ms", "--json", "-")
    run = recorded(done)
    assert done.returncode == 1
    assert_verdict(run, "server_not_accepting")
    assert run.funnel.connected == 129
    assert run.server.listener is not None
    assert run.server.listener.queued_at_end == 129
    assert run.server.listener.worst_depth == 129
    assert run.funnel.accepted == 0


def test_accept_queue_overflow() -> None:
    with serving("echo", "--backlog", "16", "--accept-delay", "50ms") as (target, _process):
        done = estab("hold", target, "-n", "200", "-d", "0.5", "--json", "-")
    run = recorded(done)
    assert done.returncode == 1
    assert_verdict(run, "accept_queue_overflow")
    assert run.server.listener is not None
    assert run.server.listener.limit == 16
    assert 10 <= run.server.listener.worst_depth <= 17  # sampled: it is at 17 only for moments
    assert run.server.listener.drops


def test_server_open_files() -> None:
    with serving("echo", nofile=64) as (target, _process):
        done = estab("hold", target, "-n", "200", "-d", "1", "--json", "-")
    run = recorded(done)
    assert done.returncode == 1
    assert_verdict(run, "server_open_files")


def test_client_open_files() -> None:
    with serving("echo") as (target, _process):
        done = estab("hold", target, "-n", "400", "-d", "0.2", "--json", "-", nofile=64)
    run = recorded(done)
    assert done.returncode == 1
    assert_verdict(run, "client_open_files")
    assert {(f.phase, f.errno) for f in run.failures} == {("connect", "EMFILE")}


def test_nobody_listening() -> None:
    done = estab("hold", f"127.0.0.1:{servers.closed_port()}", "-n", "20", "-d", "0.1", "--json", "-")
    assert done.returncode == 1
    assert_verdict(recorded(done), "nobody_listening")


# Ten ports in the range, and the embedded server listens on one of them.
TEN_PORTS = {"net.ipv4.ip_local_port_range": "40000 40009", "net.ipv4.tcp_tw_reuse": 0}


def test_time_wait_port_exhaustion() -> None:
    done = in_namespace(lambda: estab("churn", "-c", "2", "-d", "0.5", "--json", "-"), sysctls=TEN_PORTS)
    run = recorded(done)
    assert done.returncode == 1
    assert_verdict(run, "time_wait_port_exhaustion")
    assert run.funnel.connected == 9
    assert {(f.phase, f.errno) for f in run.failures} == {("connect", "EADDRNOTAVAIL")}


def test_ephemeral_port_exhaustion() -> None:
    done = in_namespace(lambda: estab("hold", "-n", "15", "-d", "0.2", "--json", "-"), sysctls=TEN_PORTS)
    run = recorded(done)
    assert done.returncode == 1
    assert_verdict(run, "ephemeral_port_exhaustion")
    assert run.funnel.connected == 9


@pytest.mark.parametrize(
    "arguments",
    [
        ("bench", "-c", "400", "-s", "1400", "-d", "0.3"),
        ("bench", "-c", "400", "-s", "1400", "-d", "0.3", "--mode", "flood"),
        ("bench", "-c", "1", "-s", "1", "-d", "0.3"),
        ("bench", "-c", "20", "--depth", "16", "-d", "0.3"),
        ("hold", "-n", "5000", "-d", "0.3"),
        ("churn", "-c", "50", "-d", "0.3", "-s", "64"),
        ("churn", "-c", "50", "-n", "3000"),
        ("churn", "-c", "50", "-d", "0.3", "-s", "1", "--close", "rst"),
    ],
)
def test_healthy_runs_accuse_nobody(arguments: tuple[str, ...]) -> None:
    done = in_namespace(lambda: estab(*arguments, "--json", "-"))
    run = recorded(done)
    assert run.failures == []
    assert_verdict(run, None)
    assert done.returncode == 0


def test_asyncio_echo_server() -> None:
    with servers.asyncio_echo() as target:
        done = estab("bench", target, "-c", "50", "-s", "1400", "-d", "0.3", "--json", "-")
    run = recorded(done)
    assert_verdict(run, None)
    assert run.failures == []
    assert run.funnel.accepted == 50
    assert run.server.processes
    assert run.server.processes[0].fds is not None


def test_node_echo_server() -> None:
    with servers.node_echo() as target:
        rr = estab("bench", target, "-c", "50", "-s", "1400", "-d", "0.3", "--json", "-")
        flood = estab("bench", target, "-c", "50", "-s", "1400", "-d", "0.3", "--mode", "flood", "--json", "-")
    for done in (rr, flood):
        run = recorded(done)
        assert run.failures == []
        assert_verdict(run, None)
        assert run.server.listener is not None
        assert run.server.listener.limit == 511
        assert run.funnel.accepted == 50


def test_hold_and_churn_against_nginx(tmp_path: Path) -> None:
    with servers.nginx(tmp_path, "backlog=37") as (target, _master):
        held = recorded(estab("hold", target, "-n", "300", "--ramp", "1000", "-d", "0.3", "--json", "-"))
    with servers.nginx(tmp_path) as (target, _master):
        churned = recorded(estab("churn", target, "-c", "10", "-n", "400", "--json", "-"))
    assert held.server.listener is not None
    assert held.server.listener.limit == 37
    assert held.funnel.connected == 300
    assert held.funnel.accepted == 300
    assert churned.funnel.attempted == 400
    assert churned.funnel.connected == churned.funnel.completed
    assert_verdict(held, None)
