"""Limits of any server and path, made for real in a network namespace, and the judge's word on each."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests import servers
from tests.cli.terminal import estab, recorded, serving
from tests.namespaces import in_namespace

from estab import RunResult

Load = Callable[[str], RunResult]


def hold(target: str, *more: str, duration: str = "200ms") -> RunResult:
    return recorded(estab("hold", target, "-d", duration, "--json", "-", *more))


def nft(rules: str) -> None:
    subprocess.run([servers.program("nft"), "-f", "-"], input=rules, text=True, check=True)


def judged(run: RunResult, cause: str, side: str) -> None:
    """The cause, its side, and that nobody else is confirmed or was dropped without a word."""
    assert run.diagnosis is not None
    found = {suspect.cause: suspect for suspect in run.diagnosis.suspects}
    assert run.diagnosis.cause == cause, (run.diagnosis.summary, run.failures)
    assert run.diagnosis.side == side
    assert [name for name, suspect in found.items() if suspect.verdict == "confirmed"] == [cause]
    assert all(suspect.summary for suspect in found.values())


def test_nginx_whose_workers_stand_still(tmp_path: Path) -> None:
    with servers.standing_nginx(tmp_path, backlog=5) as target:
        run = hold(target, "-n", "50", "--timeout", "1500ms")
    judged(run, "server_not_accepting", "server")
    assert run.server.listener is not None
    assert run.server.listener.limit == 5
    assert run.funnel.connected == 6


def test_a_foreign_server_out_of_descriptors() -> None:
    with servers.asyncio_echo(nofile=40) as target:
        run = hold(target, "-n", "100", duration="1500ms")
    judged(run, "server_open_files", "server")


def behind(rules: str, *more: str) -> RunResult:
    """A run in a fresh namespace against an echo server on port 7000, under these nft rules."""

    def work() -> RunResult:
        with serving(listen="127.0.0.1:7000"):
            nft(rules)
            return hold("127.0.0.1:7000", *more)

    return in_namespace(work)


INPUT = "table inet t {{ chain c {{ type filter hook input priority 0; {rule}; }}; }}\n"


def test_an_nft_drop() -> None:
    run = behind(INPUT.format(rule="tcp dport 7000 drop"), "-n", "20", "--timeout", "1200ms")
    assert run.funnel.connected == 0
    judged(run, "path_filtered", "path")


def test_an_nft_reject() -> None:
    run = behind(INPUT.format(rule="tcp dport 7000 reject with tcp reset"), "-n", "20", "--timeout", "1200ms")
    assert run.funnel.connected == 0
    judged(run, "path_filtered", "path")


def test_an_icmp_error_of_this_host_itself() -> None:
    """Client and server are one host here: who refuses is the host itself."""
    rule = "tcp dport 7000 reject with icmpx type admin-prohibited"
    run = behind(INPUT.format(rule=rule), "-n", "20", "--timeout", "1200ms")
    assert run.funnel.connected == 0
    judged(run, "own_firewall", "client")


def test_a_flow_table_that_is_full() -> None:
    rule = "tcp dport 7000 ct state new ct count over 30 drop"
    run = behind(INPUT.format(rule=rule), "-n", "100", "--timeout", "1200ms")
    assert 28 <= run.funnel.connected <= 30  # the wait for the server left a flow or two behind
    judged(run, "path_flow_table_full", "path")


def test_ports_poisoned_by_bind() -> None:
    def work() -> RunResult:
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40199")
        held = []
        for port in range(40000, 40150):
            poison = socket.socket()
            poison.bind(("0.0.0.0", port))
            held.append(poison)
        with serving(listen="127.0.0.1:7000"):
            run = hold("127.0.0.1:7000", "-n", "100", "--timeout", "1s")
        for poison in held:
            poison.close()
        return run

    run = in_namespace(work)
    assert run.funnel.connected <= 50
    judged(run, "bound_ports_poisoned", "client")
