"""Loads over a UNIX socket, counted alike by both engines: what goes well, and what the kernel refuses."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.counts import assert_counts_add_up, assert_healthy, failed

import estab
from estab import RunResult, Service
from estab.errors import MachineError, UsageError
from estab.load.serving import serving
from estab.records import Suspect


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"unix:{tmp_path / 's'}" if request.param == "path" else f"unix:@estab-{tmp_path.name}"


@contextlib.contextmanager
def listening(address: str, backlog: int = 8) -> Iterator[socket.socket]:
    """A listener that accepts nobody."""
    name = address.removeprefix("unix:")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name[1:] if name.startswith("@") else name)
        server.listen(backlog)
        yield server


def suspects(run: RunResult) -> list[Suspect]:
    return [] if run.diagnosis is None else run.diagnosis.suspects


@pytest.mark.parametrize(("mode", "size"), [("rr", 64), ("rr", 200_000), ("flood", 1400)])
def test_bench(address: str, mode: str, size: int) -> None:
    with serving(Service("echo", address)):
        run = estab.bench(address, connections=10, duration_s=0.05, size_bytes=size, mode=mode)  # type: ignore[arg-type]
    assert_healthy(run, 10)
    assert run.config["target"] == address
    assert run.requests is not None
    assert run.requests.count >= 10
    assert run.syn_retransmits == {}


def test_a_single_connection(address: str) -> None:
    with serving(Service("echo", address)):
        run = estab.bench(address, connections=1, duration_s=0.05)
    assert_healthy(run, 1)


def test_hold(address: str) -> None:
    with serving(Service("echo", address)):
        run = estab.hold(address, connections=100, duration_s=0.3)
    assert_healthy(run, 100)
    assert run.funnel.accepted == 100
    watch = run.server.listener
    assert watch is not None
    assert (watch.address, watch.port) == (address, 0)


@pytest.mark.parametrize("first_close", ["client", "server"])
def test_churn(address: str, first_close: str) -> None:
    with serving(Service("echo", address, close_after_bytes=8 if first_close == "server" else None)):
        run = estab.churn(address, connections=4, attempts=200, size_bytes=8, first_close=first_close)  # type: ignore[arg-type]
    assert_healthy(run, 200)
    assert run.funnel.attempted == 200


def test_several_processes_share_one_socket(address: str) -> None:
    with serving(Service("echo", address, processes=2)) as (fleet, where):
        run = estab.hold(address, connections=50, duration_s=0.1)
        assert where == (address, 0, 0)
        assert fleet.totals()["accepted"] == 50
    assert_healthy(run, 50)


def test_one_more_than_the_backlog_gets_in_and_the_others_get_eagain(address: str) -> None:
    with listening(address):
        run = estab.hold(address, connections=60, duration_s=0.2)
    assert failed(run) == {("connect", "EAGAIN"): 51}
    assert (run.funnel.attempted, run.funnel.connected) == (60, 9)
    assert run.server.listener is not None
    assert (run.server.listener.worst_depth, run.server.listener.limit) == (9, 8)
    assert run.cause == "server_not_accepting"  # nobody empties it, whatever its length
    assert "unix_accept_queue_overflow" in {each.cause for each in suspects(run) if each.verdict == "possible"}
    assert [each.example for each in run.failures] == [address]


def test_nobody_listens_at_a_path_that_is_there(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 's'}"
    with listening(address):
        pass
    run = estab.hold(address, connections=3, duration_s=0.1)
    assert failed(run) == {("connect", "ECONNREFUSED"): 3}
    assert_counts_add_up(run)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    run = estab.hold(f"unix:{tmp_path / 's'}", connections=3, duration_s=0.1)
    assert failed(run) == {("connect", "ENOENT"): 3}


def test_a_peer_that_closes_early(address: str) -> None:
    with listening(address) as server:

        def close_all() -> None:
            for _ in range(5):
                server.accept()[0].close()

        closing = threading.Thread(target=close_all)
        closing.start()
        run = estab.hold(address, connections=5, duration_s=0.3)
        closing.join()
    assert failed(run) == {("read", "eof"): 5}
    assert_counts_add_up(run)


def test_the_servers_file_is_removed_and_one_that_is_there_is_said(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 's'}"
    with serving(Service("sink", address)):
        assert (tmp_path / "s").is_socket()
        with (
            pytest.raises(MachineError, match=r"can't listen on unix:.*: Address already in use; remove it"),
            serving(Service("sink", address)),
        ):
            pass
        assert (tmp_path / "s").is_socket()
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("service", "words"),
    [
        (Service("echo", "unix:/x", port=80), "`port` is 80"),
        (Service("echo", "unix:/x", reset=True), "`reset` closes by RST"),
    ],
)
def test_what_a_unix_socket_has_not_is_refused(service: Service, words: str) -> None:
    with pytest.raises(UsageError, match=words), serving(service):
        pass
