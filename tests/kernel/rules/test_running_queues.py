"""Rules 1 to 14 and 29 against the kernel that runs here: prediction equals measurement.

Each test runs in a network namespace of its own. Where none can be had the tests fail and say why.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest
from tests import namespaces as ns
from tests.kernel.rules import packets
from tests.kernel.rules.kernel_probes import (
    HERE,
    KERNEL,
    PORT,
    begin_connects,
    depth_and_limit,
    drops_of,
    listen,
    listener,
    lossless_default_route,
    relevant,
    states,
)

from estab.kernel.rules import (
    accept_queue,
    burst,
    counters,
    syn_cookies,
    syn_queue,
    synack_retries,
)

pytestmark = pytest.mark.namespace

# -- rule 1: B is fixed at listen() ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backlog", "somaxconn"),
    [(0, 128), (5, 4096), (127, 128), (128, 128), (129, 128), (-1, 4096), (8192, 128), (511, 4096)],
)
def test_rule_1_granted(backlog: int, somaxconn: int) -> None:
    def measure() -> int:
        with listener(backlog) as server:
            return depth_and_limit(server)[1]

    measured = ns.in_namespace(measure, sysctls={"net.core.somaxconn": somaxconn})
    assert measured == accept_queue.granted(backlog, somaxconn)


def test_rule_1_default_of_a_new_namespace() -> None:
    assert int(ns.in_namespace(lambda: ns.sysctl("net.core.somaxconn"))) == (4096 if KERNEL.at_least(5, 4) else 128)


def test_rule_1_somaxconn_later_does_nothing_until_listen() -> None:
    def measure() -> tuple[int, int, int, tuple[int, int]]:
        ns.sysctl("net.core.somaxconn", 4)
        with listener(100) as server:
            first = depth_and_limit(server)[1]
            ns.sysctl("net.core.somaxconn", 4096)
            later = depth_and_limit(server)[1]
            clients = begin_connects(first + 2)
            fitted = states(clients)[0]
            listen(server, 100)
            return first, later, fitted, depth_and_limit(server)

    first, later, fitted, (depth, limit) = ns.in_namespace(measure)
    assert (first, later, fitted) == (4, 4, accept_queue.fits(4))
    assert (depth, limit) == (accept_queue.fits(4), accept_queue.granted(100, 4096))


# -- rules 2 and 3: B + 1 fit, and each SYN over it counts -------------------------------------------------------------


@pytest.mark.parametrize("extra", [-1, 0, 1, 3])
@pytest.mark.parametrize("backlog", [0, 1, 5, 128])
@pytest.mark.parametrize("cookies", [0, 1, 2])
def test_rules_2_and_3(backlog: int, cookies: int, extra: int) -> None:
    connects = accept_queue.fits(backlog) + extra

    def measure() -> tuple[tuple[int, int], int, int, dict[str, int]]:
        with listener(backlog) as server:
            before = ns.counters()
            clients = begin_connects(connects)
            moved = relevant(ns.deltas(before, ns.counters()))
            return states(clients), ns.accept_queue(PORT), depth_and_limit(server)[0], moved

    measured = ns.in_namespace(measure, sysctls={"net.ipv4.tcp_syncookies": cookies})
    (connected, waiting), proc_depth, info_depth, moved = measured
    asked = burst.Clients(connects=connects, within_s=0, rtt_s=0)
    predicted = burst.predict(asked, burst.Server(limit=backlog, tcp_syncookies=cookies, kernel=KERNEL))
    assert predicted is not None
    assert predicted.exact
    assert (connected, waiting) == (predicted.connected.low, predicted.waiting.low)
    # Where full is `qlen >= B`, nobody gets through the SYN queue of a listen(0) without cookies (rule 9).
    lets_in = cookies > 0 or syn_queue.fits_backlog(backlog, KERNEL)
    assert proc_depth == info_depth == predicted.queued.low == (min(connects, backlog + 1) if lets_in else 0)
    assert moved == {name: count.low for name, count in predicted.counters.items() if count.low}


# -- rules 4, 7, 13: the final ACK on a full queue, by hand -----------------------------------------------------------


def final_ack(cookies: int, abort: int, shifts: tuple[int, ...] = (0,), mss: int = 1460) -> list[dict[str, Any]]:
    """A half-open (or cookie) client whose queue fills before its ACK; then segments at these shifts, one by one."""
    lossless_default_route()
    ns.sysctl("net.ipv4.tcp_syncookies", cookies)
    ns.sysctl("net.ipv4.tcp_abort_on_overflow", abort)
    ns.sysctl("net.ipv4.tcp_invalid_ratelimit", 0)
    seen = []
    # With B = 1 the half-open one alone would fill the SYN queue of a kernel where full is `qlen >= B` (rule 9).
    with listener(2), contextlib.closing(packets.HandMade(PORT, mss)) as peer:
        peer.syn()
        fill = begin_connects(3)
        for shift in shifts:
            before = ns.counters()
            peer.ack(shift, b"x" if shift else b"")
            moved = relevant(ns.deltas(before, ns.counters()))
            half_open = ns.census(PORT).get("SYN_RECV", 0)
            seen.append({"counters": moved, "reset": peer.was_reset(), "half_open": half_open})
        assert states(fill) == (3, 0)
    return seen


@pytest.mark.parametrize("abort", [0, 1])
@pytest.mark.parametrize("cookies", [0, 2])
def test_rules_4_and_7_the_final_ack_on_a_full_queue(cookies: int, abort: int) -> None:
    [seen] = ns.in_namespace(lambda: final_ack(cookies, abort))
    predicted = accept_queue.final_ack_refused(abort, by_cookie=cookies == 2)
    assert seen["counters"] == predicted.counters
    assert seen["reset"] is (predicted.refusal == "reset")
    assert seen["half_open"] == (predicted.server == "SYN_RECV")


def test_rule_4_every_further_segment_counts_again() -> None:
    seen = ns.in_namespace(lambda: final_ack(0, 0, (0, 0, 0)))
    assert [one["counters"] for one in seen] == [accept_queue.final_ack_refused().counters] * 3


@pytest.mark.parametrize(("index", "mss"), enumerate([536, 1300, 1440, 1460]))
@pytest.mark.parametrize("shift", [0, 1, 2, 3, 4, 1400])
def test_rule_13_which_segments_carry_a_valid_cookie(index: int, mss: int, shift: int) -> None:
    [seen] = ns.in_namespace(lambda: final_ack(2, 0, (shift,), mss))
    valid = syn_cookies.cookie_valid(shift, index)
    assert seen["reset"] is not valid
    dropped = accept_queue.final_ack_refused(by_cookie=True).counters
    assert seen["counters"] == (dropped if valid else {"SyncookiesFailed": 1})


def test_rule_13_a_shifted_segment_is_accepted_without_the_bytes_before_it() -> None:
    def measure() -> bytes:
        lossless_default_route()
        with listener(1) as server, contextlib.closing(packets.HandMade(PORT)) as peer:
            peer.syn()
            fill = begin_connects(2)
            peer.ack(0, b"a")  # dropped: the queue is full
            kept = [server.accept()[0] for _ in fill]
            peer.ack(1, b"b")
            accepted, _ = server.accept()
            peer.ack(0, b"a")  # as a client would send it again
            accepted.setblocking(False)
            assert len(kept) == 2
            return accepted.recv(10)

    assert syn_cookies.cookie_valid(1)
    assert ns.in_namespace(measure, sysctls={"net.ipv4.tcp_syncookies": 2}) == b"b"


def test_rule_14_what_the_client_gets_after_rst_and_after_fin_then_rst() -> None:
    def outcome(operation: Callable[[], object]) -> str:
        try:
            return "EOF" if operation() == b"" else "ok"
        except OSError as error:
            return errno.errorcode[error.errno or 0]

    def measure() -> tuple[tuple[str, ...], tuple[str, ...]]:
        with listener(5) as server:
            client, (accepted, _) = socket.create_connection(HERE), server.accept()
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()
            reset = tuple(map(outcome, (lambda: client.recv(1), lambda: client.send(b"x"), lambda: client.recv(1))))
            client, (accepted, _) = socket.create_connection(HERE), server.accept()
            accepted.close()
            client.send(b"x")  # draws the RST
            return reset, tuple(map(outcome, (lambda: client.send(b"x"), lambda: client.recv(1))))

    reset, fin = ns.in_namespace(measure)
    assert reset == ("ECONNRESET", "EPIPE", "EOF")
    assert fin == ("EPIPE", "EOF")


# -- rules 5 and 8: TCP_DEFER_ACCEPT -----------------------------------------------------------------------------------


def test_rule_8_seconds_become_timeouts() -> None:
    with socket.socket() as server:
        for seconds in (0, 1, 2, 3, 4, 7, 8, 60, 63, 64, 127, 128, 1000, 20_000):
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, seconds)
            # net/ipv4/tcp.c retrans_to_secs: what the timeouts last together, each twice the one before, at most 120 s.
            lasts_s = sum(min(1 << timeout, 120) for timeout in range(synack_retries.defer_accept_timeouts(seconds)))
            assert server.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT) == lasts_s


def test_rule_8_a_bare_ack_is_dropped_and_counted_apart() -> None:
    def measure() -> tuple[dict[str, int], dict[str, int], tuple[int, int]]:
        with listener(5) as server:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
            before = ns.counters()
            clients = begin_connects(1)
            return relevant(ns.deltas(before, ns.counters())), ns.census(PORT), states(clients)

    moved, seen, connected = ns.in_namespace(measure)
    assert moved == {"TCPDeferAcceptDrop": 1}
    assert (seen.get("SYN_RECV"), connected) == (1, (1, 0))


@pytest.mark.parametrize(
    ("backlog", "defer_s", "drops", "counted"),
    [(5, 30, 3, {"TCPDeferAcceptDrop": 3}), (1, 0, 1, {"ListenOverflows": 1, "ListenDrops": 1})],
    ids=["three deferred", "one too many"],
)
def test_rule_5_drops_of_a_listener_rise_by_both(
    backlog: int, defer_s: int, drops: int, counted: dict[str, int]
) -> None:
    def measure() -> tuple[int, dict[str, int]]:
        with listener(backlog) as server:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, defer_s)
            before, dropped = ns.counters(), drops_of(server)
            _clients = begin_connects(3)
            return drops_of(server) - dropped, relevant(ns.deltas(before, ns.counters()))

    assert ns.in_namespace(measure) == (drops, counted)


# -- rules 9 to 12: the SYN_RECV table -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backlog", "somaxconn", "max_syn_backlog", "cookies"),
    [
        (5, 4096, 2048, 0), (5, 4096, 2048, 1), (5, 4096, 2048, 2),
        (128, 128, 2048, 0), (128, 128, 2048, 1), (128, 128, 128, 0), (128, 4096, 64, 0),
        (1024, 4096, 128, 0), (1024, 4096, 128, 1), (4096, 4096, 2048, 0), (4096, 4096, 2048, 1),
        (0, 4096, 2048, 0), (0, 4096, 2048, 1), (1, 4096, 2048, 0),  # B at N-1, N, N+1 around nothing
        (4096, 4096, 63, 0), (4096, 4096, 65, 0), (4096, 4096, 1, 0), (4096, 4096, 4, 0),  # M likewise
        (95, 4096, 128, 0), (96, 4096, 128, 0), (97, 4096, 128, 0),  # where both bounds meet
        (8192, 128, 2048, 2),
    ],
)  # fmt: skip
def test_rules_9_to_12_the_table(backlog: int, somaxconn: int, max_syn_backlog: int, cookies: int) -> None:
    limit = accept_queue.granted(backlog, somaxconn)
    room = syn_queue.flood(6000, limit, max_syn_backlog, cookies, KERNEL)
    assert room is not None
    syns = room.half_open + 200

    def measure() -> tuple[int, dict[str, int]]:
        lossless_default_route()
        with listener(backlog):
            before = ns.counters()
            packets.flood(PORT, syns)
            return ns.census(PORT).get("SYN_RECV", 0), relevant(ns.deltas(before, ns.counters()))

    sysctls = {
        "net.core.somaxconn": somaxconn,
        "net.ipv4.tcp_max_syn_backlog": max_syn_backlog,
        "net.ipv4.tcp_syncookies": cookies,
    }
    half_open, moved = ns.in_namespace(measure, sysctls=sysctls)
    predicted = syn_queue.flood(syns, limit, max_syn_backlog, cookies, KERNEL)
    assert predicted is not None
    assert half_open == predicted.half_open
    assert moved == predicted.counters


# -- rule 29: what the counters say together ---------------------------------------------------------------------------


def risen(do: Callable[[], object]) -> dict[str, int]:
    """By how much each counter of this namespace rises while `do()` runs."""
    before = ns.counters()
    _kept = do()
    after = ns.counters()
    return {name: after[name] - before[name] for name in after}


@pytest.mark.parametrize(("backlog", "max_syn_backlog"), [(5, 2048), (4096, 64)])
def test_rule_29_which_limit_dropped_a_flood(backlog: int, max_syn_backlog: int) -> None:
    def measure() -> dict[str, int]:
        lossless_default_route()
        with listener(backlog):
            return risen(lambda: packets.flood(PORT, 100))

    sysctls = {"net.ipv4.tcp_syncookies": 0, "net.ipv4.tcp_max_syn_backlog": max_syn_backlog}
    split = counters.split_drops(ns.in_namespace(measure, sysctls=sysctls))
    by_backlog = 100 - (syn_queue.fits_backlog(backlog, KERNEL) or 0) if backlog == 5 else 0
    by_the_other = 0 if backlog == 5 else 100 - syn_queue.fits_max_syn_backlog(max_syn_backlog)
    assert (split.accept_queue, split.syn_queue, split.unexplained) == (0, by_backlog, by_the_other)


def test_rule_29_a_full_accept_queue() -> None:
    def measure() -> dict[str, int]:
        with listener(5):
            return risen(lambda: begin_connects(9))

    split = counters.split_drops(ns.in_namespace(measure))
    assert (split.accept_queue, split.syn_queue, split.unexplained) == (3, 0, 0)
