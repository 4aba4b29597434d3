"""`probe` and `--probe` from one end to the other: on loopback, whose packets a rule drops where that is the test."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest
from tests import servers
from tests.namespaces import in_namespace, run

import estab
from estab.records import RUN_SCHEMA, RunResult, decode, encode


def echo(sock: socket.socket) -> None:
    with sock:
        while data := sock.recv(65536):
            sock.sendall(data)


def dropped(match: str, ask: Callable[[str], RunResult]) -> RunResult:
    """What `ask` says of an echo server in a namespace where a rule drops what matches (`{port}` is the server's)."""

    def asked() -> bytes:
        with servers.side_by_side(echo) as target:
            port = target.rpartition(":")[2]
            if match:
                rule = f"type filter hook input priority 0; {match.format(port=port)} drop;"
                run("nft", f"table ip t {{ chain c {{ {rule} }}; }}")
            return encode(ask(target))

    return decode(in_namespace(asked), RunResult, RUN_SCHEMA)


@pytest.mark.namespace
def test_where_all_is_well_every_probe_passes() -> None:
    found = dropped("", lambda target: estab.probe(target, size_bytes=4000, port_beside=9))
    assert (found.cause, found.failures, found.interrupted) == (None, [], False)
    assert found.probes is not None
    assert found.probes.source_ports is not None
    assert [len(port.tries) for port in found.probes.source_ports.ports] == [1] * 60
    assert found.probes.failed == 0
    assert found.probes.other_port is not None
    assert [tried.errno for tried in found.probes.other_port.tries] == ["ECONNREFUSED"]
    assert found.probes.connects <= 99
    assert found.probes.seconds < 30
    assert found.size_probe is not None
    assert found.size_probe.full_passed
    assert found.config["target"] == decode(encode(found), RunResult, RUN_SCHEMA).config["target"]
    assert not {"connections", "duration_s", "probe"} & found.config.keys()


@pytest.mark.namespace
def test_a_part_of_the_local_ports_is_dropped() -> None:
    found = dropped("tcp dport {port} tcp sport & 6 == 4", estab.probe)
    assert found.cause == "path_member_dead"
    assert found.probes is not None
    assert found.probes.source_ports is not None
    silent = [port.tries[0].silent for port in found.probes.source_ports.ports]
    assert 14 <= sum(silent) <= 16
    assert found.probes.connects <= 99


@pytest.mark.namespace
def test_nobody_is_there() -> None:
    found = decode(in_namespace(lambda: encode(estab.probe("127.0.0.1:9"))), RunResult, RUN_SCHEMA)
    assert found.cause == "nobody_listening"
    assert found.probes is not None
    assert {missing.probe for missing in found.probes.not_tried} == {"sizes"}


@pytest.mark.namespace
def test_a_load_without_a_question_makes_no_further_connect() -> None:
    load = estab.LoadOptions(probe=True, port_beside=9)
    found = dropped("", lambda target: estab.hold(target, connections=5, duration_s=0.1, options=load))
    assert found.cause is None
    assert found.probes is not None
    assert found.probes.connects == 1  # the one before it
    assert found.config["probe"] is True
    assert found.config["port_beside"] == 9


@pytest.mark.namespace
def test_an_idle_time_goes_with_it() -> None:
    found = dropped("", lambda target: estab.probe(target, idle_s=0.4))
    assert found.cause is None
    assert [gap.gap_s for gap in found.idle_gaps] == [0.05, 0.4]
    assert all(gap.answered for gap in found.idle_gaps)


@pytest.mark.namespace
def test_a_stop_ends_it_with_what_it_had() -> None:
    def asked(target: str) -> RunResult:
        with estab.Stop() as stop:
            threading.Timer(0.5, stop.set).start()
            return estab.probe(target, stop=stop)

    found = dropped("tcp dport {port}", asked)
    assert found.interrupted
    assert found.funnel.attempted <= 4
    assert found.elapsed_s < 5


@pytest.mark.namespace
def test_a_page_is_asked_for_by_a_request_of_more_than_a_segment() -> None:
    requests: list[int] = []

    def answered(sock: socket.socket) -> None:
        for request in servers.asked(sock):
            requests.append(len(request))
            sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with servers.side_by_side(answered) as target:
        probe = estab.probe(f"http://{target}/page", port_beside=9)
    assert probe.cause is None
    assert probe.config["http"] == "/page"
    assert set(requests) == {2000}
    assert probe.requests is not None
    assert probe.requests.count > 4
