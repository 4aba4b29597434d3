"""Connects from pages of the kernel's ring buffer: made-up pages, so that each turn of events can be had."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from array import array

import pytest

from estab import _engine

(STATE, RETRANSMIT, RECEIVED, SENT, ERROR, NEW_TASK, SOCKET_ENTER, SOCKET, CONNECT_ENTER, CONNECT) = range(1, 11)
ACCEPT_ENTER, ACCEPT4_ENTER, ACCEPT, ACCEPT4, BIND_ENTER, BIND = range(11, 17)
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
    (NEW_TASK, 8, 12),
    (SOCKET_ENTER, 8, 16),
    *((kind, 8) for kind in range(SOCKET, BIND + 1)),
)
CLONE_FILES = 0x400

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


def asked_socket(at_ns: int, family: int, type_: int, descriptor: int, pid: int = PID) -> list[Event]:
    enter = event(at_ns, SOCKET_ENTER, struct.pack("=qq", family, type_), pid)
    return [enter, event(at_ns + 10, SOCKET, struct.pack("=q", descriptor), pid)]


def called(at_ns: int, kind: int, descriptor: int, pid: int = PID) -> Event:
    return event(at_ns, kind, struct.pack("=q", descriptor), pid)


def new_task(at_ns: int, child: int, flags: int = 0, parent: int = PID) -> Event:
    return event(at_ns, NEW_TASK, struct.pack("=iQ", child, flags), parent)


def head(kind: int, delta: int) -> bytes:
    """`u32 type_len:5, time_delta:27`: a bit field begins where the machine's integers begin."""
    return struct.pack("=I", kind | delta << 5 if sys.byteorder == "little" else kind << 27 | delta)


def page(*events: Event, began_ns: int = 0, long_form: bool = False) -> bytes:
    """A page with these events: its time, how much is written, then each with its distance from the one before."""
    data, now = b"", began_ns
    for at_ns, body in events:
        delta, now = at_ns - now, at_ns
        if delta >= 1 << 27:
            data += head(30, delta & 0x7FFFFFF) + struct.pack("=I", delta >> 27)
            delta = 0
        padded = body + bytes(-len(body) % 4)
        if long_form:
            data += head(0, delta) + struct.pack("=I", len(padded) + 4) + padded
        else:
            data += head(len(padded) // 4, delta) + padded
    return struct.pack("=QQ", began_ns, len(data)) + data + bytes(max(0, 4080 - len(data)))


def traced(*pages: bytes, follow: tuple[int, ...] = (PID,)) -> _engine.Trace:
    trace = _engine.trace(FORMATS)
    for pid in follow:
        trace.follow(pid, pid, MS)
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
    trace.follow(PID, PID, MS)
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
    fork, stranger = new_task(MS, 300), new_task(MS, 400, parent=OTHER)
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
        *asked_socket(MS, socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, -errno.EMFILE),
        *asked_socket(2 * MS, socket.AF_INET6, socket.SOCK_DGRAM, -errno.EMFILE),
        *asked_socket(3 * MS, socket.AF_INET, socket.SOCK_STREAM, -errno.EMFILE, OTHER),
        returned(4 * MS, SOCKET, errno.EMFILE),  # of a family that the kernel left out
    ]
    assert codes(traced(page(*calls)).totals()["socket_failures"]) == [(errno.EMFILE, 1)]


def codes(failures: list[tuple[int, int, int, int]]) -> list[tuple[int, int]]:
    return [(code, count) for code, count, *_ in failures]


UNREACHABLE, AGAIN = errno.ENETUNREACH, errno.EAGAIN
TCP4, TCP6, UDP6 = (socket.AF_INET, 1), (socket.AF_INET6, 1 | socket.SOCK_NONBLOCK), (socket.AF_INET6, 2)
UNIX, PACKETS = (socket.AF_UNIX, 1), (socket.AF_UNIX, 5)


@pytest.mark.parametrize(
    ("made", "after", "of_tcp", "of_unix"),
    [
        (TCP4, [returned(3 * MS, CONNECT, UNREACHABLE)], [(UNREACHABLE, 1)], []),
        (TCP6, [returned(3 * MS, CONNECT, UNREACHABLE)], [(UNREACHABLE, 1)], []),
        (UDP6, [returned(3 * MS, CONNECT, UNREACHABLE)], [], []),  # getaddrinfo() asks so for a source address
        (UNIX, [returned(3 * MS, CONNECT, AGAIN)], [], [(AGAIN, 1)]),
        (PACKETS, [returned(3 * MS, CONNECT, AGAIN)], [], [(AGAIN, 1)]),  # no stream, but only a UNIX socket says so
        (TCP4, [returned(3 * MS, CONNECT, errno.EISCONN)], [], []),
        (TCP4, [returned(3 * MS, CONNECT, 512)], [], []),  # ERESTARTSYS: it is called again
        # TCP began: how that ended has been told.
        (TCP4, [state(2 * MS + 5, 1, CLOSE, SYN_SENT), returned(3 * MS, CONNECT, REFUSED)], [], []),
    ],
)
def test_a_connect_that_failed_before_tcp_began(
    made: tuple[int, int], after: list[Event], of_tcp: list[tuple[int, int]], of_unix: list[tuple[int, int]]
) -> None:
    totals = traced(page(*asked_socket(MS, *made, 5), called(2 * MS, CONNECT_ENTER, 5), *after)).totals()
    assert codes(totals["connect_failures"]) == of_tcp
    assert codes(totals["unix_failures"]) == of_unix
    assert totals["unix_connects"] == (made == UNIX)


def test_who_else_found_a_unix_queue_full() -> None:
    others = [returned(n * MS, CONNECT, AGAIN, 400 + n % 2) for n in range(1, 6)]
    refused = [returned(7 * MS, CONNECT, UNREACHABLE, 400), returned(8 * MS, CONNECT, AGAIN)]  # the last is followed
    trace = traced(page(*others, *refused))
    assert trace.refused() == [(401, 3, MS, 5 * MS), (400, 2, 2 * MS, 4 * MS)]


def test_beyond_64_others_are_counted_together() -> None:
    trace = traced(page(*(returned((1 + n) * MS, CONNECT, AGAIN, 1000 + n) for n in range(70))))
    told_of = trace.refused()
    assert [count for _tid, count, *_ in told_of] == [1] * 63 + [7]
    assert [tid for tid, *_ in told_of] == [*range(1000, 1063), 0]


@pytest.mark.parametrize(("made", "failed"), [(TCP4, True), (TCP6, True), (UDP6, False), (UNIX, False)])
def test_a_bind_that_failed(made: tuple[int, int], failed: bool) -> None:
    calls = [*asked_socket(MS, *made, 5), called(2 * MS, BIND_ENTER, 5), returned(3 * MS, BIND, errno.EADDRINUSE)]
    strangers = [called(4 * MS, BIND_ENTER, 5, OTHER), returned(5 * MS, BIND, errno.EADDRINUSE, OTHER)]
    totals = traced(page(*calls, *strangers, returned(6 * MS, BIND, errno.EINVAL))).totals()
    assert codes(totals["bind_failures"]) == ([(errno.EADDRINUSE, 1)] if failed else [])
    assert codes(totals["connect_failures"]) == []


def test_an_earlier_end_is_not_this_calls() -> None:
    begun = [*asked_socket(MS, *TCP4, 5), called(2 * MS, CONNECT_ENTER, 5), state(2 * MS + 5, 1, CLOSE, SYN_SENT)]
    given_up = state(3 * MS, 1, SYN_SENT, CLOSE)
    again = [*asked_socket(4 * MS, *TCP4, 5), called(5 * MS, CONNECT_ENTER, 5), returned(6 * MS, CONNECT, UNREACHABLE)]
    trace = traced(page(*begun, given_up, *again))
    assert told(trace) == [(80, 1, 0, [(0, 1)])]
    assert codes(trace.totals()["connect_failures"]) == [(UNREACHABLE, 1)]


@pytest.mark.parametrize(("flags", "known"), [(CLONE_FILES, True), (0, False)])
def test_threads_share_descriptors_and_processes_do_not(flags: int, known: bool) -> None:
    calls = [*asked_socket(MS, *TCP4, 5), new_task(2 * MS, 300, flags), called(3 * MS, CONNECT_ENTER, 5, 300)]
    totals = traced(page(*calls, returned(4 * MS, CONNECT, UNREACHABLE, 300))).totals()
    assert codes(totals["connect_failures"]) == ([(UNREACHABLE, 1)] if known else [])


def test_a_stranger_with_the_number_of_one_that_has_ended() -> None:
    events = [new_task(MS, 300), state(2 * MS, 1, CLOSE, SYN_SENT, pid=300)]
    strangers = [new_task(3 * MS, 300, parent=OTHER), state(4 * MS, 2, CLOSE, SYN_SENT, pid=300)]
    assert told(traced(page(*events, *strangers))) == [(80, 1, 0, [])]


def test_its_own_beginning_may_be_told_later() -> None:
    assert told(traced(page(new_task(MS // 2, PID, parent=OTHER), state(2 * MS, 1, CLOSE, SYN_SENT)))) == [
        (80, 1, 0, [])
    ]


def test_what_is_accepted_from_each_listener() -> None:
    calls = [
        *(each for n in range(3) for each in (called(n * MS, ACCEPT4_ENTER, 3), called(n * MS + 1, ACCEPT4, 7 + n))),
        called(4 * MS, ACCEPT_ENTER, 4),
        returned(5 * MS, ACCEPT, errno.EMFILE),
        called(6 * MS, ACCEPT4_ENTER, 3),
        returned(7 * MS, ACCEPT4, AGAIN),
        called(8 * MS, ACCEPT4_ENTER, 3, OTHER),
        called(9 * MS, ACCEPT4, 20, OTHER),
        *asked_socket(10 * MS, *TCP4, 3),  # another listener, with its number
        called(11 * MS, ACCEPT_ENTER, 3),
        called(12 * MS, ACCEPT, 9),
    ]
    told_of = traced(page(*calls)).acceptors()
    assert [(tid, fd, accepted, codes(failures)) for tid, fd, accepted, failures in told_of] == [
        (PID, 3, 3, []),
        (PID, 4, 0, [(errno.EMFILE, 1)]),
        (PID, 3, 1, []),
    ]


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


@pytest.mark.parametrize("junk", [b"\xff" * 4096, bytes(4096), bytes(range(256)) * 16], ids=["ones", "zeros", "all"])
def test_junk_is_no_harm(junk: bytes) -> None:
    assert told(traced(junk, junk[:8] + struct.pack("=Q", 4080) + junk[16:])) == []


@pytest.mark.parametrize("formats", [(), ((1, 2),) * 13, ("x",) * 14, ((),) * 14, (tuple(range(12)),) * 14])
def test_formats_that_are_none(formats: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises((ValueError, TypeError)):
        _engine.trace(formats)
