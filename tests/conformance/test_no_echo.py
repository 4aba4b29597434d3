"""A peer that is no echo server: how its first reply began is kept, and a run of which no reply is an echo stops."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from tests import servers
from tests.conformance.counts import assert_counts_add_up, failed

import estab
from estab import RunResult
from estab.errors import UsageError

ANSWER = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
BEGAN = r"HTTP/1.1 400 Bad Request\r\nConnec"
LONG_S = 30.0
SOON_S = 15.0
ONE_PROCESS = estab.LoadOptions(processes=1)


def as_http(sock: socket.socket) -> None:
    """Reads a request, answers, and waits for the end."""
    sock.recv(65536)
    sock.sendall(ANSWER)
    # To close with data unread would reset what it has answered.
    while sock.recv(65536):
        pass


@pytest.fixture
def http() -> Iterator[str]:
    """For many connections at once."""
    with servers.side_by_side(as_http) as target:
        yield target


def assert_stopped(run: RunResult) -> None:
    assert run.elapsed_s < SOON_S
    assert run.stopped == "no_echo"
    assert failed(run)["read", "wrong_bytes"] >= 20
    assert {errno for _phase, errno in failed(run)} <= {"wrong_bytes", "ECONNRESET", "EPIPE"}
    assert run.no_echo is not None
    assert run.no_echo.first_bytes == BEGAN
    assert_counts_add_up(run)


@pytest.mark.parametrize("mode", ["rr", "flood"])
def test_bench_stops(http: str, mode: str) -> None:
    run = estab.bench(http, connections=40, duration_s=LONG_S, mode=mode, options=ONE_PROCESS)  # type: ignore[arg-type]
    assert_stopped(run)


def test_an_open_loop_stops_and_does_not_send_what_is_due(http: str) -> None:
    run = estab.bench(http, connections=100, duration_s=LONG_S, mode="rate", rate_per_s=200, options=ONE_PROCESS)
    assert_stopped(run)
    assert run.open_loop is not None
    assert run.open_loop.scheduled < 100


@pytest.mark.parametrize("rate_per_s", [None, 500.0])
def test_churn_stops(http: str, rate_per_s: float | None) -> None:
    run = estab.churn(http, connections=4, duration_s=LONG_S, size_bytes=9, rate_per_s=rate_per_s, options=ONE_PROCESS)
    assert_stopped(run)
    assert 20 <= run.funnel.attempted < 200


def test_few_connections_end_by_themselves_and_say_as_much() -> None:
    with servers.misbehaving(as_http) as target:
        run = estab.bench(target, connections=1, duration_s=LONG_S)
    assert run.elapsed_s < SOON_S
    assert run.stopped is None
    assert run.no_echo is not None
    assert run.no_echo.first_bytes == BEGAN


def test_a_banner_is_a_reply_that_nobody_asked_for() -> None:
    def banner(sock: socket.socket) -> None:
        sock.sendall(b"SSH-2.0-x\r\n")
        sock.recv(1)

    with servers.misbehaving(banner) as target:
        run = estab.bench(target, connections=1, duration_s=LONG_S)
    assert [failure.first_bytes for failure in run.failures] == [r"SSH-2.0-x\r\n"]


def test_one_wrong_echo_among_good_ones_is_no_other_protocol() -> None:
    def once_wrong(sock: socket.socket) -> None:
        sock.sendall(sock.recv(64))
        sock.sendall(bytes(len(sock.recv(64))))
        sock.recv(1)

    with servers.misbehaving(once_wrong) as target:
        run = estab.bench(target, connections=1, duration_s=LONG_S)
    assert failed(run) == {("read", "wrong_bytes"): 1}
    assert run.failures[0].first_bytes == r"\x00" * 32
    assert run.no_echo is None
    assert run.stopped is None


def test_a_search_for_a_rate_ends_with_one_clear_line(http: str) -> None:
    with pytest.raises(UsageError, match=r"is no echo server.*HTTP"):
        estab.find_rate(http, bound_s=0.005, connections=10, duration_s=1)
