"""Connects from pages of the kernel's ring buffer: made-up pages, so that each turn of events can be had."""

from __future__ import annotations

import errno
import socket
import struct
from array import array

import pytest

from estab import _engine

STATE, RETRANSMIT, RECEIVED, SENT, ERROR, FORK, CONNECT, SOCKET, ACCEPT, ACCEPT4 = range(1, 11)
TCP, UDP = 6, 17
ESTABLISHED, SYN_SENT, CLOSE = 1, 2, 7
MS = 1_000_000
PID, OTHER = 100, 200
# As the bodies below are laid out: offsets count from the event's first byte, of which 8 are common.
_TUPLE = (24, 26, 28, 30, 32, 36)
FORMATS = (
    (STATE, 8, 16, 20, *_TUPLE),
    (RETRANSMIT, 8),
    (RECEIVED, 8),
    (SENT, 8),
    (ERROR, 8, *_TUPLE),
    (FORK, 8, 12),
    (CONNECT, 8),
    (SOCKET, 8),
    (ACCEPT, 8),
    (ACCEPT4, 8),
)

Event = tuple[int, bytes]


def event(at_ns: int, kind: int, body: bytes, pid: int = PID) -> Event:
    return at_ns, struct.pack("=HBBi", kind, 0, 0, pid) + body


def ends(sport: int, dport: int, protocol: int = TCP) -> bytes:
    return struct.pack("=HHHH", sport, dport, socket.AF_INET, protocol) + socket.inet_aton("10.0.0.5") + bytes(16)


def state(at_ns: int, sk: int, old: int, new: int, *, sport: int = 4000, dport: int = 80, pid: int = PID) -> Event:
    return event(at_ns, STATE, struct.pack("=Qii", sk, old, new) + ends(sport, dport), pid)


def error(at_ns: int, code: int, *, sport: int = 4000, dport: int = 80, protocol: int = TCP) -> Event:
    return event(at_ns, ERROR, struct.pack("=i12x", code) + ends(sport, dport, protocol), OTHER)


def returned(at_ns: int, kind: int, code: int, pid: int = PID) -> Event:
    return event(at_ns, kind, struct.pack("=q", -code), pid)


def page(*events: Event, began_ns: int = 0, long_form: bool = False) -> bytes:
    """A page with these events: its time, how much is written, then each with its distance from the one before."""
    data, now = b"", began_ns
    for at_ns, body in events:
        delta, now = at_ns - now, at_ns
        if delta >= 1 << 27:
            data += struct.pack("=II", 30 | (delta & 0x7FFFFFF) << 5, delta >> 27)
            delta = 0
        padded = body + bytes(-len(body) % 4)
        if long_form:
            data += struct.pack("=II", delta << 5, len(padded) + 4) + padded
        else:
            data += struct.pack("=I", len(padded) // 4 | delta << 5) + padded
    return struct.pack("=QQ", began_ns, len(data)) + data + bytes(max(0, 4080 - len(data)))


def traced(*pages: bytes, follow: tuple[int, ...] = (PID,)) -> _engine.Trace:
    trace = _engine.trace(FORMATS)
    for pid in follow:
        trace.follow(pid)
    for each in pages:
        trace.add(each)
    trace.turn(1 << 62)
    return trace


def told(trace: _engine.Trace) -> list[tuple[int, int, int, list[tuple[int, int]]]]:
    """Of each target: port, begun, connected, failures as (code, count)."""
    return [(row[1], row[2], row[3], [(code, n) for code, n, *_ in row[8]]) for row in trace.targets()]


@pytest.mark.parametrize("long_form", [False, True])
def test_one_that_connects(long_form: bool) -> None:
    begun, done = state(MS, 1, CLOSE, SYN_SENT), state(4 * MS, 1, SYN_SENT, ESTABLISHED, pid=OTHER)
    trace = traced(page(begun, done, long_form=long_form))
    assert told(trace) == [(80, 1, 1, [])]
    assert trace.targets()[0][0][-4:] == socket.inet_aton("10.0.0.5")
    totals = trace.totals()
    assert (totals["sum_ns"], totals["max_ns"], totals["damaged"]) == (3 * MS, 3 * MS, 0)
    assert sum(array("Q", totals["histogram"])) == 1
    assert array("Q", totals["resent"])[0] == 1


def test_cpus_tell_out_of_order_and_time_decides() -> None:
    late, early = page(state(4 * MS, 1, SYN_SENT, ESTABLISHED)), page(state(MS, 1, CLOSE, SYN_SENT))
    assert told(traced(late, early)) == [(80, 1, 1, [])]


def test_what_is_newer_than_the_turn_waits() -> None:
    trace = _engine.trace(FORMATS)
    trace.follow(PID)
    trace.add(page(state(5 * MS, 1, CLOSE, SYN_SENT)))
    trace.turn(4 * MS)
    assert told(trace) == []
    trace.turn(5 * MS)
    assert told(trace) == [(80, 1, 0, [])]


def test_a_long_time_between_two_events() -> None:
    hour = 3_600_000 * MS
    trace = traced(page(state(MS, 1, CLOSE, SYN_SENT), state(hour, 1, SYN_SENT, ESTABLISHED)))
    assert trace.totals()["sum_ns"] == hour - MS


REFUSED, TIMED_OUT, NO_PORT = errno.ECONNREFUSED, errno.ETIMEDOUT, errno.EADDRNOTAVAIL


@pytest.mark.parametrize(
    ("after", "code"),
    [
        ((state(2 * MS, 1, SYN_SENT, CLOSE), error(2 * MS + 900, REFUSED)), REFUSED),
        ((state(2 * MS, 1, SYN_SENT, CLOSE, pid=OTHER), error(2 * MS + 900, TIMED_OUT)), TIMED_OUT),
        ((state(2 * MS, 1, SYN_SENT, CLOSE, sport=0),), NO_PORT),
        # A socket of bind() has a port, and connect() says that it is taken.
        ((state(2 * MS, 1, SYN_SENT, CLOSE), returned(2 * MS + 900, CONNECT, NO_PORT)), NO_PORT),
        ((state(2 * MS, 1, SYN_SENT, CLOSE),), 0),
        ((state(2 * MS, 1, SYN_SENT, CLOSE, pid=OTHER),), -1),
        # Errors of another connection, of UDP, and one that comes much later, say nothing of this one.
        ((state(2 * MS, 1, SYN_SENT, CLOSE), error(2 * MS + 900, REFUSED, sport=4001)), 0),
        ((state(2 * MS, 1, SYN_SENT, CLOSE), error(2 * MS + 900, REFUSED, protocol=UDP)), 0),
        ((state(2 * MS, 1, SYN_SENT, CLOSE), error(20 * MS, REFUSED)), 0),
    ],
)
def test_how_it_fails(after: tuple[Event, ...], code: int) -> None:
    assert told(traced(page(state(MS, 1, CLOSE, SYN_SENT), *after))) == [(80, 1, 0, [(code, 1)])]


def test_one_that_is_given_up_says_after_how_long() -> None:
    trace = traced(page(state(MS, 1, CLOSE, SYN_SENT), state(701 * MS, 1, SYN_SENT, CLOSE)))
    assert trace.targets()[0][7] == 700 * MS


def test_only_what_is_followed_and_what_that_forks() -> None:
    fork = event(MS, FORK, struct.pack("=ii", PID, 300))
    stranger = event(MS, FORK, struct.pack("=ii", OTHER, 400))
    begun = [state(2 * MS, sk, CLOSE, SYN_SENT, pid=pid) for sk, pid in ((1, 300), (2, 400), (3, OTHER), (4, PID))]
    assert told(traced(page(fork, stranger, *begun))) == [(80, 2, 0, [])]


def test_resets_and_packets_sent_again() -> None:
    sk = struct.pack("=Q", 1)
    trace = traced(
        page(
            state(MS, 1, CLOSE, SYN_SENT),
            event(2 * MS, RETRANSMIT, sk),
            event(3 * MS, RECEIVED, sk),  # before it connected: its error tells of that
            state(4 * MS, 1, SYN_SENT, ESTABLISHED),
            event(5 * MS, RETRANSMIT, sk),
            event(6 * MS, RECEIVED, sk),
            event(7 * MS, SENT, struct.pack("=Q", 9)),
            state(8 * MS, 1, ESTABLISHED, CLOSE),
            event(9 * MS, SENT, sk),
        )
    )
    assert trace.targets()[0][4:7] == (1, 0, 2)
    assert list(array("Q", trace.totals()["resent"]))[:3] == [0, 1, 0]


def test_sockets_that_cannot_be_had() -> None:
    calls = [
        returned(MS, SOCKET, errno.EMFILE),
        returned(MS, ACCEPT4, errno.EMFILE),
        returned(MS, ACCEPT, errno.ENFILE),
    ]
    totals = traced(page(*calls, returned(MS, SOCKET, errno.EMFILE, OTHER))).totals()
    assert [each[:2] for each in totals["socket_failures"]] == [(errno.EMFILE, 1)]
    assert [each[:2] for each in totals["accept_failures"]] == [(errno.EMFILE, 1), (errno.ENFILE, 1)]


def test_many_that_end_at_once_and_a_socket_that_is_used_again() -> None:
    events = [each for sk in range(3000) for each in (state(MS, sk + 1, CLOSE, SYN_SENT),)]
    events += [state(2 * MS, sk + 1, SYN_SENT, CLOSE) for sk in range(3000)]
    events += [state(30 * MS, 1, CLOSE, SYN_SENT), state(31 * MS, 1, SYN_SENT, ESTABLISHED)]
    pages = [page(*events[at : at + 40]) for at in range(0, len(events), 40)]
    assert told(traced(*pages)) == [(80, 3001, 1, [(0, 3000)])]


@pytest.mark.parametrize("length", [0, 1, 15, 16, 19, 20, 40, 90, 4095])
def test_a_page_that_is_cut_is_no_harm(length: int) -> None:
    whole = page(state(MS, 1, CLOSE, SYN_SENT), state(4 * MS, 1, SYN_SENT, ESTABLISHED))
    assert told(traced(whole[:length])) in ([], [(80, 1, 1, [])])


@pytest.mark.parametrize("junk", [b"\xff" * 4096, bytes(4096), bytes(range(256)) * 16])
def test_junk_is_no_harm(junk: bytes) -> None:
    assert told(traced(junk, junk[:8] + struct.pack("=Q", 4080) + junk[16:])) == []


@pytest.mark.parametrize("formats", [(), ((1, 2),) * 9, ("x",) * 10, ((),) * 10, (tuple(range(12)),) * 10])
def test_formats_that_are_none(formats: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises((ValueError, TypeError)):
        _engine.trace(formats)
