"""Servers that do not echo: HTTP and others are asked and answered, and what is wrong with a reply is told apart."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests import servers
from tests.conformance.counts import assert_counts_add_up, assert_healthy, failed

import estab
from estab import RunResult, Service

SHORT = 0.05
AT_A_RATE_S = 0.15  # some requests go out, at moments drawn by chance
LONG_S = 30.0
SOON_S = 15.0
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
CLOSES = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
LONG_PING = b"PING " + b"x" * 2000 + b"\r\n"  # of short ones a server in Python gets more than it can answer soon
HEAD = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
ONE = estab.LoadOptions(processes=1)
Reply = Callable[[bytes, int], bytes]


@contextmanager
def answering(reply: bytes | Reply, *, closes: bool = False, end: bytes = b"\r\n\r\n") -> Iterator[str]:
    """A server that answers each request with `reply`, or with what that gives for a request and its number."""

    def handle(sock: socket.socket) -> None:
        for number, request in enumerate(servers.asked(sock, end)):
            sock.sendall(reply if isinstance(reply, bytes) else reply(request, number))
            if closes:
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):  # to close with a request unread would be a reset
                    pass
                return

    with servers.side_by_side(handle) as target:
        yield target


def statuses(run: RunResult) -> dict[str, int]:
    assert run.requests is not None
    assert run.requests.http_status is not None
    assert sum(run.requests.http_status.values()) == run.requests.count
    return run.requests.http_status


def connections_failed(run: RunResult) -> dict[tuple[str, str], int]:
    return {kind: count for kind, count in failed(run).items() if kind[0] != "status"}


# --- HTTP ---


@pytest.mark.parametrize("reply", [HELLO, CHUNKS], ids=["length", "chunked"])
@pytest.mark.parametrize("mode", ["rr", "rate"])
def test_bench_keeps_its_connections(reply: bytes, mode: str) -> None:
    seconds, rate = (AT_A_RATE_S, 200.0) if mode == "rate" else (SHORT, None)
    with answering(reply) as target:
        run = estab.bench(target, http="/a?b", connections=5, duration_s=seconds, mode=mode, rate_per_s=rate)  # type: ignore[arg-type]
    assert_healthy(run, 5)
    assert run.funnel.attempted == run.funnel.first_byte == 5
    assert run.requests is not None
    assert statuses(run) == {"200": run.requests.count}
    assert run.requests.count >= 5
    assert run.requests.bytes == run.requests.count * len(reply)
    assert run.requests.renewed == 0
    assert run.latency.request_us is not None
    assert run.latency.request_us.count == run.requests.count
    assert run.config["http"] == "/a?b"


def test_what_is_sent() -> None:
    seen = []

    def note(request: bytes, _number: int) -> bytes:
        seen.append(request)
        return HELLO

    with answering(note) as target:
        estab.bench(f"http://me@{target}/a?b#c", connections=1, duration_s=0.01)
        estab.churn(target, http="/", connections=1, attempts=1, first_close="server", options=ONE)
    lines = [f"GET /a?b HTTP/1.1\r\nHost: {target}".encode(), b"User-Agent: estab", b"Accept: */*\r\n\r\n"]
    assert seen[0] == b"\r\n".join(lines)
    assert seen[-1].startswith(b"GET / HTTP/1.1\r\n")
    assert seen[-1].endswith(b"Connection: close\r\n\r\n")


def test_a_reply_in_pieces() -> None:
    def drip(sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _request in servers.asked(sock):
            for byte in CHUNKS:
                sock.sendall(bytes([byte]))

    with servers.side_by_side(drip) as target:
        run = estab.bench(target, http="/", connections=2, duration_s=SHORT)
    assert_healthy(run, 2)
    assert statuses(run)["200"] >= 2


def test_a_single_connection_is_asked_in_its_own_way() -> None:
    with answering(lambda _request, number: HELLO if number % 2 else CHUNKS) as target:
        run = estab.bench(target, http="/", connections=1, duration_s=0.3)
    assert_healthy(run, 1)
    assert statuses(run)["200"] > 200  # it is waited for in recv() by then


def test_a_server_that_closes_after_some_replies_is_connected_to_anew() -> None:
    with answering(lambda _request, number: CLOSES if number % 5 == 4 else HELLO) as target:
        run = estab.bench(target, http="/", connections=3, duration_s=SHORT, options=ONE)
    assert_healthy(run, 3)
    assert run.requests is not None
    assert run.requests.renewed == run.funnel.attempted - 3 > 0
    assert run.requests.count >= 5 * run.requests.renewed


@pytest.mark.parametrize(
    "reply",
    [CLOSES, b"HTTP/1.1 200 OK\r\n\r\nuntil it closes", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"],
    ids=["says so", "no length", "HTTP/1.0"],
)
@pytest.mark.parametrize("mode", ["rr", "rate"])
def test_each_reply_may_end_its_connection(reply: bytes, mode: str) -> None:
    seconds, rate = (AT_A_RATE_S, 100.0) if mode == "rate" else (SHORT, None)
    with answering(reply, closes=True) as target:
        run = estab.bench(target, http="/", connections=3, duration_s=seconds, mode=mode, rate_per_s=rate)  # type: ignore[arg-type]
    assert_healthy(run, 3)
    assert run.requests is not None
    assert run.requests.renewed == run.funnel.attempted - 3 > 0
    assert statuses(run) == {"200": run.requests.count}


def pipelined(replies: Callable[[int], bytes], *, together: bool = False) -> Reply:
    """Replies by their number; `together`: eight go out at once, so that one read brings several."""
    held: dict[int, bytes] = {}

    def reply(_request: bytes, number: int) -> bytes:
        if not together:
            return replies(number)
        held[threading.get_ident()] = held.get(threading.get_ident(), b"") + replies(number)
        return held.pop(threading.get_ident()) if number % 8 == 7 else b""

    return reply


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("reply", [HELLO, CHUNKS], ids=["length", "chunked"])
def test_requests_in_flight_are_answered_in_order(reply: bytes, together: bool) -> None:
    """RFC 9112, 9.3.2: replies come in the order of their requests."""
    with answering(pipelined(lambda _number: reply, together=together)) as target:
        run = estab.bench(target, http="/", connections=3, duration_s=SHORT, depth=8)
    assert_counts_add_up(run)
    assert run.requests is not None
    assert run.requests.count >= 3 * 8
    assert statuses(run) == {"200": run.requests.count}
    assert run.latency.request_us is not None
    assert run.latency.request_us.count == run.requests.count


@pytest.mark.parametrize("mode", ["rr", "flood"])
def test_the_last_reply_of_a_connection_leaves_the_others_in_flight_unanswered(mode: str) -> None:
    """As nginx's keepalive_requests: what was sent beyond is not answered, which is no failure."""
    depth = 8 if mode == "rr" else 1
    with answering(lambda _request, number: CLOSES if number == 4 else HELLO if number < 4 else b"") as target:
        run = estab.bench(target, http="/", connections=3, duration_s=SHORT, depth=depth, mode=mode, options=ONE)  # type: ignore[arg-type]
    assert_healthy(run, 3)
    assert run.requests is not None
    assert run.requests.renewed == run.funnel.attempted - 3 > 0
    assert run.requests.count >= 5 * run.requests.renewed
    assert statuses(run) == {"200": run.requests.count}


@pytest.mark.parametrize(
    ("asked", "reply", "end"),
    [
        ({"http": "/"}, HELLO, b"\r\n\r\n"),
        ({"request": LONG_PING, "until": b"PONG\r\n"}, b"+PONG\r\n", b"\r\n"),
        ({"request": LONG_PING, "reply_bytes": 7}, b"+PONG\r\n", b"\r\n"),
    ],
    ids=["http", "until", "reply_bytes"],
)
def test_a_flood_asks_without_waiting_and_all_is_answered(asked: dict[str, Any], reply: bytes, end: bytes) -> None:
    with answering(reply, end=end) as target:
        run = estab.bench(target, connections=3, duration_s=SHORT, mode="flood", **asked)
    assert_healthy(run, 3)
    assert run.funnel.completed == 3
    assert run.requests is not None
    assert run.requests.count > 50
    assert run.requests.bytes == run.requests.count * len(reply)
    assert run.latency.request_us is not None
    assert 0 < run.latency.request_us.count <= run.requests.count


@pytest.mark.parametrize("first_close", ["client", "server"])
@pytest.mark.parametrize("reply", [HELLO, CLOSES, b"HTTP/1.1 200 OK\r\n\r\nto the end"])
def test_churn_asks_once(first_close: str, reply: bytes) -> None:
    closes = first_close == "server" or reply.endswith(b"end")
    with answering(reply, closes=closes) as target:
        run = estab.churn(target, http="/", connections=3, attempts=30, first_close=first_close)  # type: ignore[arg-type]
    assert_healthy(run, 30)
    assert statuses(run) == {"200": 30}
    assert run.requests is not None
    assert run.requests.renewed is None


def test_a_trickle_asks_held_connections() -> None:
    with answering(HELLO) as target:
        run = estab.hold(target, http="/", connections=5, duration_s=0.2, trickle_per_s=100)
    assert_healthy(run, 5)
    assert run.funnel.attempted == 5
    assert statuses(run)["200"] > 5


def test_a_held_connection_that_the_server_ends_is_not_made_anew() -> None:
    def ends_when_all_have(now: estab.Progress) -> None:
        if now.point.failed == 3:
            stop.set()

    with answering(CLOSES, closes=True) as target, estab.Stop() as stop:
        run = estab.hold(
            target, http="/", connections=3, duration_s=LONG_S, trickle_per_s=100, stop=stop,
            progress=ends_when_all_have,
        )  # fmt: skip
    assert run.elapsed_s < SOON_S
    assert connections_failed(run) == {("read", "eof"): 3}
    assert statuses(run) == {"200": 3}
    assert_counts_add_up(run)


def test_a_status_that_nobody_wished_for_fails_no_connection() -> None:
    with answering(lambda _request, number: BUSY if number % 2 else HELLO) as target:
        run = estab.bench(target, http="/", connections=4, duration_s=SHORT)
    seen = statuses(run)
    assert failed(run) == {("status", "503"): seen["503"]}
    assert abs(seen["200"] - seen["503"]) <= 4
    assert run.funnel.attempted == run.funnel.completed == 4
    assert run.client_failures == 0
    (failure,) = run.failures
    assert failure.first_bytes == r"HTTP/1.1 503 Service Unavailable"
    assert failure.example is not None
    assert target in failure.example
    assert run.cause is None
    assert run.diagnosis is not None
    total = sum(seen.values())
    assert f"All 4 connections connected; {seen['503']:,} of {total:,} replies were 503." in run.diagnosis.summary


def test_other_statuses_are_wished_for() -> None:
    moved = itertools.cycle(
        [
            b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        ]
    )
    with answering(lambda _request, _number: next(moved)) as target:
        run = estab.bench(target, http="/", connections=2, duration_s=SHORT)
    assert_healthy(run, 2)
    assert set(statuses(run)) == {"301", "304", "204"}


def test_a_head_has_no_body() -> None:
    with answering(HELLO.removesuffix(b"hello")) as target:
        run = estab.bench(target, request=HEAD, connections=2, duration_s=SHORT)
    assert_healthy(run, 2)
    assert statuses(run)["200"] > 2


def test_a_long_request_and_a_long_reply() -> None:
    page = bytes(range(256)) * 3_000
    head = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 300002\r\n"
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page) + page
    with answering(reply, end=b"\r\n" + b"y" * 300_000 + b"\r\n") as target:
        request = head + b"\r\n" + b"y" * 300_000 + b"\r\n"
        run = estab.bench(target, request=request, connections=2, duration_s=SHORT)
    assert_healthy(run, 2)
    assert run.requests is not None
    assert run.requests.bytes == run.requests.count * len(reply)
    assert run.config["request_bytes"] == len(request)


# --- what is wrong with a reply ---


WRONG = {
    "cut short": (HELLO[:-2], True, ("reply", "eof"), r"HTTP/1.1 200 OK\r\nContent-Length:"),
    "a chunk short": (CHUNKS[:-2], True, ("reply", "eof"), r"HTTP/1.1 200 OK\r\nTransfer-Encodi"),
    "some bytes": (HELLO[:9], True, ("reply", "eof"), "HTTP/1.1 "),
    "nothing": (b"", True, ("read", "eof"), None),
    "the rest never comes": (HELLO[:-2], False, ("reply", "own_timeout"), r"HTTP/1.1 200 OK\r\nContent-Length:"),
    "it never comes": (b"", False, ("read", "own_timeout"), None),
    "too much": (HELLO + b"!", False, ("reply", "excess_bytes"), r"HTTP/1.1 200 OK\r\nContent-Length:"),
    "no HTTP": (b"SSH-2.0-x\r\n", False, ("reply", "malformed"), r"SSH-2.0-x\r\n"),
    "a long header": (
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
        False,
        ("reply", "header_too_long"),
        r"HTTP/1.1 200 OK\r\nX: " + "y" * 12,
    ),
    "no chunk": (
        CHUNKS.replace(b"5\r\n", b"zz\r\n"),
        False,
        ("reply", "malformed"),
        r"HTTP/1.1 200 OK\r\nTransfer-Encodi",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_reply(name: str) -> None:
    reply, closes, kind, began = WRONG[name]
    with answering(reply, closes=closes) as target:
        run = estab.churn(target, http="/", connections=1, attempts=2, options=estab.LoadOptions(timeout_s=0.3))
    assert failed(run) == {kind: 2}
    assert run.failures[0].first_bytes == began
    assert run.cause is None
    assert_counts_add_up(run)


def test_a_failed_connection_is_made_anew_and_rests_before() -> None:
    with answering(HELLO[:-2], closes=True) as target:
        run = estab.bench(target, http="/", connections=2, duration_s=SHORT, options=ONE)
    assert set(failed(run)) == {("reply", "eof")}
    assert 2 <= run.funnel.attempted <= 2 * (SHORT / 0.01 + 2)
    assert_counts_add_up(run)


def test_a_connect_that_fails_is_not_tried_again() -> None:
    run = estab.bench(f"127.0.0.1:{servers.closed_port()}", http="/", connections=5, duration_s=LONG_S)
    assert failed(run) == {("connect", "ECONNREFUSED"): 5}
    assert run.cause == "nobody_listening"
    assert run.elapsed_s < SOON_S


def test_a_server_of_which_no_reply_is_http_is_not_asked_for_long() -> None:
    with answering(b"-ERR unknown command\r\n") as target:
        run = estab.bench(target, http="/", connections=30, duration_s=LONG_S, options=ONE)
    assert run.elapsed_s < SOON_S
    assert run.stopped == "no_http"
    assert failed(run)["reply", "malformed"] >= 20
    assert run.diagnosis is not None
    assert "The target does not speak HTTP; it seems to speak redis" in run.diagnosis.summary


# --- any other request ---


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("end", [{"until": b"PONG\r\n"}, {"reply_bytes": 7}], ids=["until", "reply_bytes"])
def test_a_request_and_the_end_of_its_reply(end: dict[str, Any], depth: int) -> None:
    with answering(b"+PONG\r\n", end=b"PING\r\n") as target:
        run = estab.bench(target, request=b"PING\r\n", connections=3, duration_s=SHORT, depth=depth, **end)
    assert_healthy(run, 3)
    assert run.requests is not None
    assert run.requests.count > 3
    assert run.requests.bytes == 7 * run.requests.count
    assert run.requests.http_status is None


def test_a_reply_that_ends_as_the_server_closes() -> None:
    with answering(b"all that there is", end=b"?\n", closes=True) as target:
        bench = estab.bench(target, request=b"?\n", until_close=True, connections=3, duration_s=SHORT)
        churn = estab.churn(target, request=b"?\n", until_close=True, connections=3, attempts=20)
    assert_healthy(bench, 3)
    assert bench.requests is not None
    assert bench.requests.renewed == bench.funnel.attempted - 3 > 0
    assert_healthy(churn, 20)
    assert churn.config["first_close"] == "server"


def test_an_echo_server_may_be_asked_otherwise() -> None:
    run = estab.bench(request=b"x" * 5000 + b"\n", until=b"\n", connections=3, duration_s=SHORT)
    assert_healthy(run, 3)
    assert run.config["size_bytes"] is None


def test_a_reply_that_never_ends_as_it_should() -> None:
    timeout = estab.LoadOptions(timeout_s=0.2)
    with answering(b"-NOAUTH Authentication required.\r\n", end=b"PING\r\n") as target:
        run = estab.churn(
            target, request=b"PING\r\n", until=b"PONG\r\n", connections=1, attempts=1, options=timeout
        )  # fmt: skip
    assert failed(run) == {("reply", "own_timeout"): 1}
    assert run.failures[0].first_bytes == "-NOAUTH Authentication required."


def test_more_than_was_asked_for() -> None:
    with answering(b"+PONG\r\n+PONG\r\n", end=b"PING\r\n") as target:
        run = estab.churn(target, request=b"PING\r\n", reply_bytes=7, connections=1, attempts=1)
    assert failed(run) == {("reply", "excess_bytes"): 1}


def test_a_server_that_swallows_all() -> None:
    options = estab.LoadOptions(timeout_s=0.2, service=Service("sink"))
    run = estab.churn(request=b"?", reply_bytes=1, connections=1, attempts=2, options=options)
    assert failed(run) == {("read", "own_timeout"): 2}
