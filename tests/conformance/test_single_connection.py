"""A single connection: an end that serves nothing else waits in recv(), and still hears of all that may happen."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator

import pytest
from tests import servers
from tests.conformance.counts import assert_counts_add_up, assert_healthy, failed
from tests.namespaces import until

import estab
from estab import Service
from estab.load import serving
from estab.load.conductor import Stop
from estab.load.fleet import Fleet

ROUNDS = 300  # more than it takes to be taken for the only one


def ask(sock: socket.socket, times: int = ROUNDS, size: int = 3) -> None:
    for _ in range(times):
        sock.sendall(b"x" * size)
        answer = b""
        while len(answer) < size:
            answer += sock.recv(size - len(answer))


Served = tuple[Fleet, tuple[str, int]]


@pytest.fixture
def server() -> Iterator[Served]:
    with serving.serving(Service("echo")) as (fleet, (host, port, _scope)):
        yield fleet, (host, port)


@pytest.mark.parametrize("size", [1, 64, 8191, 65_536, 3_000_000])
def test_one_connection_of_each_size(size: int) -> None:
    run = estab.bench(connections=1, duration_s=0.05, size_bytes=size)
    assert_healthy(run, 1)
    assert run.requests is not None
    assert run.latency.request_us is not None
    assert run.requests.bytes == run.requests.count * size
    assert run.latency.request_us.count == run.requests.count


def test_a_server_with_one_busy_peer_hears_the_next(server: Served) -> None:
    _fleet, address = server
    with socket.create_connection(address, timeout=10) as first:
        ask(first)
        with socket.create_connection(address, timeout=10) as second:
            ask(second)
            ask(first)
        ask(first)


def test_a_server_with_one_busy_peer_ends_when_told(server: Served) -> None:
    fleet, address = server
    with socket.create_connection(address, timeout=10) as sock:
        ask(sock)
        fleet.close()
        assert sock.recv(1) == b""


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_the_end_of_the_one_peer_is_counted(server: Served, how: str) -> None:
    fleet, address = server
    with socket.create_connection(address, timeout=10) as sock:
        ask(sock)
        if how == "rst":
            servers.reset_at_once(sock)
    with socket.create_connection(address, timeout=10) as sock:
        ask(sock, 1)  # so the end of the first was seen before
        block = fleet.workers[0].block
        assert (block.get("accepted"), block.get("closed"), block.get("failed")) == (2, 1, 0)
        assert block.get("peer_resets") == (how == "rst")
        until(lambda: block.get("bytes_sent") >= 3 * (ROUNDS + 1), why="it counts what it has sent")  # a moment later
        assert block.get("bytes_received") == block.get("bytes_sent") == 3 * (ROUNDS + 1)


def test_a_peer_that_reads_nothing_for_a_while_gets_all_of_it_later(server: Served) -> None:
    _fleet, address = server
    with socket.create_connection(address, timeout=20) as sock:
        ask(sock)
        sock.setblocking(False)
        sent = got = 0
        while select.select([], [sock], [], 0.5)[1]:  # until the buffers of both directions are full
            sent += sock.send(b"y" * 100_000)
        sock.settimeout(20)
        while got < sent:
            got += len(sock.recv(1_000_000))
        ask(sock)


def answer_some(sock: socket.socket) -> None:
    """Echoes for a while, then says nothing more until the client is gone."""
    for _ in range(ROUNDS):
        sock.sendall(sock.recv(64))
    while sock.recv(64):
        pass


def test_a_run_whose_server_falls_silent_ends_in_time() -> None:
    with servers.misbehaving(answer_some) as target:
        run = estab.bench(target, connections=1, duration_s=0.5, options=estab.LoadOptions(timeout_s=1), size_bytes=64)
    assert run.requests is not None
    assert run.requests.count == ROUNDS
    assert failed(run) == {("read", "own_timeout"): 1}
    assert run.elapsed_s < 15
    assert_counts_add_up(run)


def reset_after_some(sock: socket.socket) -> None:
    for _ in range(ROUNDS):
        sock.sendall(sock.recv(64))
    servers.reset_at_once(sock)


def test_a_server_that_resets_is_counted_once() -> None:
    with servers.misbehaving(reset_after_some) as target:
        run = estab.bench(target, connections=1, duration_s=20, size_bytes=64)
    assert run.requests is not None
    assert run.requests.count == ROUNDS
    assert sum(failed(run).values()) == 1
    assert {errno for _phase, errno in failed(run)} <= {"ECONNRESET", "EPIPE"}
    assert run.elapsed_s < 15
    assert_counts_add_up(run)


def wrong_after_some(sock: socket.socket) -> None:
    for _ in range(ROUNDS):
        sock.sendall(sock.recv(64))
    sock.sendall(bytes(64))
    sock.recv(64)


def test_wrong_bytes_are_seen() -> None:
    with servers.misbehaving(wrong_after_some) as target:
        run = estab.bench(target, connections=1, duration_s=20, size_bytes=64)
    assert failed(run) == {("read", "wrong_bytes"): 1}


def test_an_interrupted_run_ends_while_its_server_is_silent() -> None:
    silent = threading.Event()

    def then_nothing(sock: socket.socket) -> None:
        for _ in range(ROUNDS):
            sock.sendall(sock.recv(64))
        sock.recv(64)
        silent.set()
        sock.recv(1)

    def stop_when_silent() -> None:
        silent.wait()
        stop.set()

    with servers.misbehaving(then_nothing) as target, Stop() as stop:
        waiter = threading.Thread(target=stop_when_silent)
        waiter.start()
        run = estab.bench(target, connections=1, duration_s=60, size_bytes=64, stop=stop)
        waiter.join()
    assert run.interrupted
    assert run.requests is not None
    assert run.requests.count == ROUNDS
    assert run.elapsed_s < 30
