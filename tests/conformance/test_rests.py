"""Connections that ask, rest and ask again: what was answered and how the others ended, alike in both engines."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable

import pytest
from tests import servers
from tests.conformance.counts import assert_counts_add_up, assert_healthy, failed
from tests.conformance.test_exchanges import CLOSES, HELLO, answering

import estab
from estab.api.execute import execute
from estab.api.gaps import GapsRequest
from estab.records import IdleGap

SHORT_S, BETWEEN_S, LONG_S = 0.05, 0.35, 1.0
PATIENT = estab.LoadOptions(timeout_s=0.5)


def echoes_until_idle(idle_s: float, end: Callable[[socket.socket], None] = lambda _sock: None) -> servers.Handler:
    """Echoes; `end` is done to what was silent for so long, which is then closed."""

    def handle(sock: socket.socket) -> None:
        while select.select([sock], [], [], idle_s)[0]:
            data = sock.recv(65536)
            if not data:
                return
            sock.sendall(data)
        end(sock)

    return handle


def by_gap(run: estab.RunResult) -> list[IdleGap]:
    assert [gap.gap_s for gap in run.idle_gaps] == [SHORT_S, LONG_S]
    return run.idle_gaps


def test_a_server_without_a_limit_answers_after_each_rest() -> None:
    run = estab.hold(gaps_s=[LONG_S, SHORT_S], options=PATIENT)
    assert_healthy(run, 4)
    short, long = by_gap(run)
    assert (short.connections, short.rested, long.connections, long.rested) == (2, 2, 2, 2)
    assert short.ended == long.ended == 0
    assert long.answered >= 2
    assert short.answered > 4  # again and again, for as long as others rest
    assert short.last_answer_s is not None
    assert long.last_answer_s is not None
    assert short.last_answer_s >= LONG_S
    assert long.last_answer_s >= LONG_S
    assert run.requests is not None
    assert run.requests.count == short.answered + long.answered + 4
    assert run.elapsed_s < 5
    assert run.drain_s is None


def test_what_is_closed_while_it_rests_is_timed() -> None:
    with servers.side_by_side(echoes_until_idle(BETWEEN_S)) as target:
        run = estab.hold(target, gaps_s=[SHORT_S, LONG_S], options=PATIENT)
    short, long = by_gap(run)
    assert short.ended == 0
    assert (long.closed, long.unasked, long.answered, long.ended) == (2, 2, 0, 2)
    assert long.least_s is not None
    assert long.most_s is not None
    assert BETWEEN_S - 0.01 <= long.least_s <= long.most_s < LONG_S
    assert long.last_s is not None
    assert short.last_answer_s is not None
    assert short.last_answer_s > long.last_s  # the others outlived it
    assert failed(run) == {("read", "eof"): 2}
    assert_counts_add_up(run)
    assert run.cause == "server_idle_close"


def test_a_word_before_the_end_is_no_answer() -> None:
    with servers.side_by_side(echoes_until_idle(BETWEEN_S, lambda sock: sock.sendall(b"ERR idle\r\n"))) as target:
        run = estab.hold(target, gaps_s=[SHORT_S, LONG_S], options=PATIENT)
    _short, long = by_gap(run)
    assert (long.closed, long.unasked, long.ended) == (2, 2, 2)
    assert failed(run) == {("read", "eof"): 2}


def test_what_is_reset_while_it_rests() -> None:
    with servers.side_by_side(echoes_until_idle(BETWEEN_S, servers.reset_at_once)) as target:
        run = estab.hold(target, gaps_s=[SHORT_S, LONG_S], options=PATIENT)
    _short, long = by_gap(run)
    assert (long.reset, long.unasked, long.ended) == (2, 2, 2)


def test_what_is_asked_in_vain() -> None:
    """The program answers no more, and its kernel acknowledges: nothing on the way forgot it."""
    with servers.side_by_side(echoes_until_idle(BETWEEN_S, lambda sock: threading.Event().wait(3))) as target:
        run = estab.hold(target, gaps_s=[SHORT_S, LONG_S], options=PATIENT)
    short, long = by_gap(run)
    assert short.ended == 0
    assert (long.silent, long.unasked, long.unacknowledged, long.ended) == (2, 0, 0, 2)
    assert long.least_s is not None
    assert (
        LONG_S <= long.least_s < LONG_S + PATIENT.timeout_s
    )  # it had rested so long; to wait for an answer is no rest
    assert failed(run) == {("read", "own_timeout"): 2}
    assert run.cause is None


def test_what_is_reset_as_it_is_asked() -> None:
    def once(sock: socket.socket) -> None:
        sock.sendall(sock.recv(65536))
        servers.reset_on_data(sock)

    with servers.side_by_side(once) as target:
        run = estab.hold(target, gaps_s=[SHORT_S], connections=3, options=PATIENT)
    (long,) = run.idle_gaps
    assert (long.rested, long.reset, long.unasked, long.answered) == (3, 3, 0, 0)
    assert_counts_add_up(run)


def test_other_bytes_than_were_asked_for() -> None:
    def second_is_wrong(sock: socket.socket) -> None:
        sock.sendall(sock.recv(65536))
        servers.wrong_bytes(sock)

    with servers.side_by_side(second_is_wrong) as target:
        run = estab.hold(target, gaps_s=[SHORT_S], options=PATIENT)
    (gap,) = run.idle_gaps
    assert (gap.wrong, gap.ended, gap.answered) == (2, 2, 0)


def test_nobody_to_ask() -> None:
    run = estab.hold(f"127.0.0.1:{servers.closed_port()}", gaps_s=[SHORT_S, LONG_S], options=PATIENT)
    assert failed(run) == {("connect", "ECONNREFUSED"): 4}
    assert [(gap.rested, gap.answered, gap.ended) for gap in by_gap(run)] == [(0, 0, 0), (0, 0, 0)]
    assert run.elapsed_s < 5


def test_http_and_a_server_that_does_not_keep() -> None:
    with answering(HELLO) as target:
        kept = estab.hold(f"http://{target}/", gaps_s=[SHORT_S, LONG_S], connections=3, options=PATIENT)
    assert_healthy(kept, 3)
    assert [(gap.connections, gap.rested) for gap in by_gap(kept)] == [(2, 2), (1, 1)]
    with answering(CLOSES, closes=True) as target:
        not_kept = estab.hold(target, http="/", gaps_s=[SHORT_S], options=PATIENT)
    assert [(gap.rested, gap.answered, gap.ended) for gap in not_kept.idle_gaps] == [(0, 0, 0)]
    assert failed(not_kept) == {}


def test_any_request() -> None:
    with answering(b"+PONG\r\n", end=b"\r\n") as target:
        run = estab.hold(target, request=b"PING\r\n", until=b"\r\n", gaps_s=[SHORT_S], options=PATIENT)
    assert_healthy(run, 2)
    assert run.idle_gaps[0].answered >= 2


def test_so_many_that_are_asked_in_vain_end_the_load() -> None:
    """What else still rests is closed in order, and counts as neither."""
    asked = GapsRequest.of([SHORT_S, LONG_S, 8.0], size_bytes=64, most_lost=2)
    with servers.side_by_side(echoes_until_idle(BETWEEN_S, lambda sock: threading.Event().wait(3))) as target:
        run = execute(asked, target, PATIENT)
    short, long, longest = run.idle_gaps
    assert run.elapsed_s < 7
    assert (short.ended, long.silent, long.ended) == (0, 2, 2)
    assert (longest.rested, longest.answered, longest.ended) == (2, 0, 0)
    assert_counts_add_up(run)


@pytest.mark.parametrize("connections", [1, 2])
def test_more_gaps_than_connections_are_refused(connections: int) -> None:
    with pytest.raises(estab.UsageError, match="at least one for each"):
        estab.hold(gaps_s=[0.1, 0.2, 0.3], connections=connections)
