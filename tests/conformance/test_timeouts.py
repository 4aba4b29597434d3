"""A time-out holds during the run, not after it alone: a silence of that length, while an answer is due, is an end."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from tests import servers
from tests.conformance.counts import assert_counts_add_up, assert_healthy, failed

import estab
from estab import RunResult, Service

LONG_S = 30.0  # of a run that is over long before, on the busiest machine too
SOON_S = 15.0


def assert_timed_out(run: RunResult, connections: int, timeout_s: float) -> None:
    assert failed(run) == {("read", "own_timeout"): connections}
    assert run.elapsed_s < SOON_S
    assert run.failures[0].first_s is not None
    assert timeout_s <= run.failures[0].first_s < SOON_S
    assert_counts_add_up(run)


@pytest.mark.parametrize(("mode", "depth"), [("rr", 1), ("rr", 4), ("flood", 1), ("rate", 1)])
def test_a_server_that_never_answers(mode: str, depth: int) -> None:
    run = estab.bench(
        connections=5, duration_s=LONG_S, mode=mode, depth=depth,  # type: ignore[arg-type]
        rate_per_s=1000 if mode == "rate" else None,
        options=estab.LoadOptions(timeout_s=0.4, service=Service("sink")),
    )  # fmt: skip
    assert_timed_out(run, 5, 0.4)
    assert run.funnel.first_byte == 0


def falls_silent(sock: socket.socket) -> None:
    """Answers for a while; then it reads and answers nothing until the peer closes."""
    for _ in range(50):
        sock.sendall(sock.recv(65536))
    while sock.recv(65536):
        pass


@pytest.mark.parametrize(("mode", "depth", "connections"), [("rr", 1, 1), ("rr", 1, 3), ("rr", 3, 2), ("rate", 1, 2)])
def test_a_server_that_falls_silent(mode: str, depth: int, connections: int) -> None:
    """With one connection, the wait is in recv() by then."""
    with servers.side_by_side(falls_silent) as target:
        run = estab.bench(
            target, connections=connections, duration_s=LONG_S, mode=mode, depth=depth,  # type: ignore[arg-type]
            rate_per_s=500 if mode == "rate" else None, options=estab.LoadOptions(timeout_s=0.5),
        )  # fmt: skip
    assert run.requests is not None
    assert run.requests.count > 0
    assert failed(run) == {("read", "own_timeout"): connections}
    assert run.elapsed_s < SOON_S
    assert_counts_add_up(run)


def test_held_connections_whose_trickle_is_not_answered() -> None:
    run = estab.hold(
        connections=3,
        duration_s=4,
        trickle_per_s=300,
        size_bytes=10,
        options=estab.LoadOptions(timeout_s=0.4, service=Service("sink")),
    )
    assert failed(run) == {("read", "own_timeout"): 3}
    assert run.failures[0].first_s is not None
    assert 0.4 <= run.failures[0].first_s < 4  # the parent alone ends the holding
    assert_counts_add_up(run)


def test_held_connections_that_ask_nothing_wait_for_nothing() -> None:
    assert_healthy(
        estab.hold(connections=3, duration_s=1.2, options=estab.LoadOptions(timeout_s=0.4, service=Service("sink"))), 3
    )


def test_an_answer_that_comes_piece_by_piece_is_no_silence() -> None:
    def slowly(sock: socket.socket) -> None:
        while data := sock.recv(1000, socket.MSG_WAITALL):
            for at in range(0, 1000, 100):
                sock.sendall(data[at : at + 100])
                time.sleep(0.5)

    with servers.misbehaving(slowly) as target:
        run = estab.bench(
            target, connections=1, duration_s=0.5, size_bytes=1000, options=estab.LoadOptions(timeout_s=4)
        )
    assert_healthy(run, 1)
    assert run.latency.request_us is not None
    assert run.latency.request_us.max is not None
    assert run.latency.request_us.max > 4e6


def test_a_request_that_takes_long_to_go_out_is_not_overdue() -> None:
    size = 40_000_000

    def store_and_forward(sock: socket.socket) -> None:
        got = bytearray()
        while len(got) < size:
            got += sock.recv(size // 10, socket.MSG_WAITALL)
            time.sleep(0.5)
        sock.sendall(got)
        sock.recv(1)

    with servers.misbehaving(store_and_forward) as target:
        run = estab.bench(target, connections=1, duration_s=10, size_bytes=size, options=estab.LoadOptions(timeout_s=4))
    assert run.requests is not None
    assert run.requests.count == 1
    assert ("read", "own_timeout") not in failed(run)


def test_no_timeout_waits_for_as_long_as_it_takes() -> None:
    answer = threading.Event()

    def late(sock: socket.socket) -> None:
        data = sock.recv(64)
        answer.wait(1)
        sock.sendall(data)
        while data := sock.recv(64):
            sock.sendall(data)

    with servers.misbehaving(late) as target:
        run = estab.bench(target, connections=1, duration_s=1.5, size_bytes=64, options=estab.LoadOptions(timeout_s=0))
    assert_healthy(run, 1)
