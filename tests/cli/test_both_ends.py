"""Both ends: the server in a namespace of its own, seen through a command that prints its snapshots."""

from __future__ import annotations

import contextlib

import pytest
from tests import servers
from tests.cli.terminal import ESTAB, assert_one_clear_line, estab, recorded, serving
from tests.namespaces import Namespace, in_namespace, joined

from estab import RunResult


def across(serve: list[str], hold: list[str]) -> RunResult:
    """A run from one host to `estab serve` on another, judged with `estab observe` run on that other one."""

    def work() -> RunResult:
        client, server = Namespace(), Namespace()
        joined(client, "10.9.0.1/24", server, "10.9.0.2/24")
        with contextlib.ExitStack() as stack:
            with server.entered():
                target, process = stack.enter_context(serving(*serve, listen="10.9.0.2:7000"))
            via = f"nsenter --net=/proc/{process.pid}/ns/net {ESTAB} observe --port {{port}}"
            with client.entered():
                return recorded(estab("hold", target, "-d", "300ms", "--json", "-", "--server-via", via, *hold))

    return in_namespace(work)


def test_a_server_elsewhere_that_never_accepts() -> None:
    run = across(["stall", "--backlog", "20"], ["-n", "100", "--timeout", "1200ms"])
    assert run.diagnosis is not None
    assert run.server.observed
    assert run.server.via is not None
    assert run.server.listener is not None
    assert run.server.listener.limit == 20
    assert run.diagnosis.cause == "server_not_accepting", run.diagnosis.summary
    assert run.ghosts is not None
    assert run.ghosts.client_established == run.funnel.connected
    assert run.ghosts.server_established == 21
    assert run.ghosts.count == run.funnel.connected - 21


def test_a_healthy_server_elsewhere() -> None:
    run = across(["echo"], ["-n", "100"])
    assert run.diagnosis is not None
    assert run.diagnosis.cause is None, run.diagnosis.summary
    assert run.ghosts is not None
    assert (run.ghosts.count, run.ghosts.server_established) == (0, 100)
    assert run.funnel.accepted == 100


@pytest.mark.parametrize("command", ["false", "echo garbage", "no-such-program"])
def test_a_command_that_fails_leaves_the_run_whole(command: str) -> None:
    with servers.misbehaving(lambda sock: sock.recv(1) and None) as target:
        done = estab("hold", target, "-n", "1", "-d", "50ms", "--server-via", command, "--json", "-")
    run = recorded(done)
    assert run.funnel.completed == 1
    assert not run.server.observed
    assert run.server.why is not None
    assert "server was not seen" in run.server.why


def test_the_embedded_server_needs_no_command() -> None:
    assert_one_clear_line(estab("hold", "-n", "1", "--server-via", "true"), 2, "--server-via", "TARGET")
