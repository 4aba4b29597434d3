"""Every rule that one machine can show, asked of the kernel that runs here: prediction equals measurement.

Each test runs in a network namespace of its own. Those with long waits start together and are collected last.
Where no namespace can be had the tests fail and say why.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import platform
import resource
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import packets
import pytest

import namespaces as ns
from estab.kernel.rules import (
    accept_queue,
    burst,
    descriptors,
    ephemeral_ports,
    syn_cookies,
    syn_queue,
    syn_retries,
    synack_retries,
    time_wait,
    timer_wheel,
)
from estab.kernel.rules.kernel_version import parse

pytestmark = pytest.mark.namespace

KERNEL = parse(platform.release())
PORT = 9999
HERE = ("127.0.0.1", PORT)
FAR = ("10.1.0.2", PORT)  # over the wire
_TCP_INFO_STATE, _ESTABLISHED, _SYN_SENT = 0, 1, 2
_IP_BIND_ADDRESS_NO_PORT, _IP_LOCAL_PORT_RANGE = 24, 51
_RELEVANT = ("Listen", "TCPReqQ", "Syncookies", "Embryonic", "TCPDeferAccept")

# How much later than the kernel's own interval a busy machine may let a test see a timer.
_LOAD_S = 1.0


def listener(backlog: int, address: str = "127.0.0.1") -> socket.socket:
    """A listening socket; the backlog goes to libc, for CPython turns a negative one into 0."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, PORT))
    listen(server, backlog)
    return server


def listen(server: socket.socket, backlog: int) -> None:
    assert ctypes.CDLL(None).listen(server.fileno(), backlog) == 0


def depth_and_limit(server: socket.socket) -> tuple[int, int]:
    """tcpi_unacked and tcpi_sacked: on a listener its depth and its limit."""
    info = server.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    found: tuple[int, int] = struct.unpack_from("=II", info, 24)
    return found


def begin_connects(number: int, address: tuple[str, int] = HERE) -> list[socket.socket]:
    """Sockets whose SYN has left; on loopback the handshake, if there is one, is over when this returns."""
    clients = []
    for _ in range(number):
        client = socket.socket()
        client.setblocking(False)
        assert client.connect_ex(address) in (0, errno.EINPROGRESS)
        clients.append(client)
    return clients


def states(clients: list[socket.socket]) -> tuple[int, int]:
    """How many are ESTABLISHED, how many SYN_SENT."""
    seen = [client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[_TCP_INFO_STATE] for client in clients]
    return seen.count(_ESTABLISHED), seen.count(_SYN_SENT)


def relevant(moved: dict[str, int]) -> dict[str, int]:
    return {name: value for name, value in moved.items() if name.startswith(_RELEVANT)}


def lossless_default_route() -> None:
    """Packets to addresses that nobody has go out of lo and are discarded there, without ICMP errors."""
    ns.run("ip", "route", "add", "default", "dev", "lo")


# -- slow ones, started together --------------------------------------------------------------------------------------

TIMELINES = {  # tcp_syn_retries, tcp_syn_linear_timeouts, tcp_rto_max_ms, TCP_USER_TIMEOUT in ms
    "1 retry": (1, 0, 120_000, 0),
    "1 retry, linear": (1, 4, 120_000, 0),
    "2 retries, waits capped at 1 s": (2, 0, 1000, 0),
    "2 retries, linear": (2, 4, 120_000, 0),
    "user timeout below 1 s": (6, 4, 120_000, 300),
    "user timeout of 1.5 s": (6, 4, 120_000, 1500),
    "user timeout above the model's time": (1, 4, 120_000, 4000),
}


def measure_timeline(retries: int, linear: int, rto_max_ms: int, user_timeout_ms: int) -> dict[str, float]:
    """A connect() to a full queue, until it fails."""
    ns.sysctl("net.ipv4.tcp_syn_retries", retries)
    ns.sysctl("net.ipv4.tcp_syn_linear_timeouts", linear)
    ns.sysctl("net.ipv4.tcp_rto_max_ms", rto_max_ms)
    with listener(0), socket.create_connection(HERE), socket.socket() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, user_timeout_ms)
        before, start = ns.counters(), time.monotonic()
        failure = client.connect_ex(HERE)
        elapsed = time.monotonic() - start
    return {"errno": failure, "elapsed_s": elapsed} | ns.deltas(before, ns.counters())


def measure_half_open(syns: int, backlog: int, retries: int, left: int) -> tuple[int, float, int]:
    """SYN_RECV after `syns` SYNs, the seconds until `left` of them are left, and how many that are."""
    lossless_default_route()
    ns.sysctl("net.ipv4.tcp_synack_retries", retries)
    with listener(backlog):
        start = time.monotonic()
        packets.flood(PORT, syns)
        first = ns.census(PORT).get("SYN_RECV", 0)
        ns.until(lambda: ns.census(PORT).get("SYN_RECV", 0) <= left, within_s=15, why=f"{left} SYN_RECV left")
        elapsed = time.monotonic() - start
        # The rest must stay: another timer of the same moment would have run with these.
        ns.until(lambda: time.monotonic() > start + elapsed + 0.3)
        return first, elapsed, ns.census(PORT).get("SYN_RECV", 0)


REUSE = {  # tcp_tw_reuse, tcp_tw_reuse_delay in ms, tcp_timestamps, whether the client binds the port itself
    "off": (0, 1000, 1, False),
    "on": (1, 1000, 1, False),
    "on, delay 100 ms": (1, 100, 1, False),
    "loopback": (2, 1000, 1, False),
    "loopback, delay 100 ms": (2, 100, 1, False),
    "on, without timestamps": (1, 100, 0, False),
    "off, port bound by the client": (0, 1000, 1, True),
}


def measure_reuse(mode: int, delay_ms: int, timestamps: int, port_given: bool) -> list[tuple[float, float, int]]:
    """One port, the client closes first, then it connects again and again: age before and after, and errno, of each."""
    ns.sysctl("net.ipv4.ip_local_port_range", "40000 40000")
    ns.sysctl("net.ipv4.tcp_tw_reuse", mode)
    ns.sysctl("net.ipv4.tcp_tw_reuse_delay", delay_ms)
    ns.sysctl("net.ipv4.tcp_timestamps", timestamps)
    ns.sysctl("net.ipv4.tcp_fin_timeout", 1)  # does nothing here (rule 23)
    with listener(16) as server:
        client = socket.socket()
        if port_given:
            take_port(client)
        client.connect(HERE)
        accepted, _ = server.accept()
        client.close()
        before_close = time.monotonic()
        accepted.close()
        ns.until(lambda: ns.census().get("TIME_WAIT"), why="TIME_WAIT at the client")
        after_close = time.monotonic()
        return list(_attempts(before_close, after_close, port_given=port_given))


def take_port(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.bind(("127.0.0.1", 40000))


def _attempts(before_close: float, after_close: float, *, port_given: bool) -> Iterator[tuple[float, float, int]]:
    """Connects until one works or 1.5 s are over. The close lay between both times: the ages are bounds."""
    while time.monotonic() < after_close + 1.5:
        with socket.socket() as client:
            if port_given:
                take_port(client)
            youngest = time.monotonic() - after_close
            failure = client.connect_ex(HERE)
            oldest = time.monotonic() - before_close
        yield youngest, oldest, failure
        if not failure:
            return


BURSTS = [(cookies, *sizes) for cookies in (0, 1, 2) for sizes in ((4, 4), (4, 5), (4, 6), (128, 400))]
_RTT_S = 0.3
FATES = (8, 40)  # backlog, clients


@contextlib.contextmanager
def hosts(cookies: int, backlog: int) -> Iterator[tuple[ns.Namespace, ns.Namespace, socket.socket]]:
    """A client's and a server's namespace with a wire of _RTT_S between them, and the server's listener."""
    client_side, middle, server_side = ns.Namespace(), ns.Namespace(), ns.Namespace()
    ns.joined(client_side, "10.1.0.1/24", middle, "", names="left")
    ns.joined(server_side, "10.1.0.2/24", middle, "", names="right")
    with middle.entered():
        wire = ns.start_child(packets.Wire("left1", "right1", _RTT_S / 2).carry)
    try:
        with server_side.entered():
            ns.sysctl("net.ipv4.tcp_syncookies", cookies)
            ns.sysctl("net.ipv4.tcp_max_syn_backlog", 2048)
            server = listener(backlog, FAR[0])
        with client_side.entered():
            _resolve(FAR[0])
        with server:
            yield client_side, server_side, server
    finally:
        wire.stop()


def measure_burst(cookies: int, backlog: int, number: int) -> dict[str, Any]:
    """`number` connects over a wire with a round-trip time, all SYNs within it, at a server that never accepts."""
    with contextlib.ExitStack() as stack:
        client_side, server_side, server = stack.enter_context(hosts(cookies, backlog))
        with server_side.entered():
            before = ns.counters()
        with client_side.entered():
            start = time.monotonic()
            clients = [stack.enter_context(client) for client in begin_connects(number, FAR)]
            within_s = time.monotonic() - start
        # The last ACK arrives after one and a half round trips; nothing is sent again before 1 s.
        settled = start + within_s + 2 * _RTT_S
        ns.until(lambda: time.monotonic() > settled)
        with server_side.entered():
            moved = relevant(ns.deltas(before, ns.counters()))
            seen = ns.census(PORT)
            depth = depth_and_limit(server)[0]
        connected, waiting = states(clients)
        return {"within_s": within_s, "taken_s": time.monotonic() - start, "connected": connected, "waiting": waiting,
                "census": seen, "depth": depth, "counters": moved}  # fmt: skip


def measure_fates(cookies: int, backlog: int, number: int) -> dict[str, int]:
    """`number` clients that write 90 bytes twice as soon as they connect; the server begins to accept much later.

    How many got an answer, how many ECONNRESET, how many something else.
    """
    found = {"served": 0, "reset": 0, "other": 0}
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        client_side, _, server = stack.enter_context(hosts(cookies, backlog))
        server.setblocking(False)
        with client_side.entered():
            start = time.monotonic()
            for client in begin_connects(number, FAR):
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(stack.enter_context(client), selectors.EVENT_WRITE)
        while sum(found.values()) < number:
            assert time.monotonic() < start + 20, f"after 20 s: {found}"
            for key, _ in selector.select(0.05):
                client = key.fileobj
                assert isinstance(client, socket.socket)
                if key.events == selectors.EVENT_WRITE:
                    _write_twice(client)
                    selector.modify(client, selectors.EVENT_READ)
                else:
                    found[_fate(client)] += 1
                    selector.unregister(client)
            if time.monotonic() > start + 4 * _RTT_S:
                _answer_all(server, stack)
    return found


def _write_twice(client: socket.socket) -> None:
    with contextlib.suppress(ConnectionError):  # the read that follows tells it too
        client.send(b"x" * 90)
        client.send(b"x" * 90)


def _fate(client: socket.socket) -> str:
    try:
        return "served" if client.recv(1) else "other"
    except ConnectionResetError:
        return "reset"


def _answer_all(server: socket.socket, stack: contextlib.ExitStack) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            accepted = stack.enter_context(server.accept()[0])
            accepted.send(b"y")


def _resolve(address: str) -> None:
    """Fill the neighbour table first: a SYN that waits for ARP would come a round trip late."""

    def known() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
            probe.sendto(b"", (address, 9))
        rows = Path("/proc/thread-self/net/arp").read_text(encoding="ascii").splitlines()[1:]
        return any(row.split()[0] == address and int(row.split()[2], 16) & 2 for row in rows)

    ns.until(known, why=f"{address} answers ARP")


@pytest.fixture(scope="module", autouse=True)
def running() -> Iterator[dict[str, ns.Running]]:
    """The slow children, by name. Started before the first test of this file."""
    work: dict[str, Callable[[], Any]] = {
        "expiry": lambda: measure_half_open(3, 128, 1, 0),
        "pruning": lambda: measure_half_open(129, 128, 5, synack_retries.survivors(129, 128)),
    }
    work |= {f"fates {cookies}": (lambda cookies=cookies: measure_fates(cookies, *FATES)) for cookies in (0, 1, 2)}
    work |= {f"timeline {name}": (lambda asked=asked: measure_timeline(*asked)) for name, asked in TIMELINES.items()}
    work |= {f"reuse {name}": (lambda asked=asked: measure_reuse(*asked)) for name, asked in REUSE.items()}
    children = {name: ns.start_in_namespace(do) for name, do in work.items()}
    yield children
    for child in children.values():
        child.stop()


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
    assert int(ns.in_namespace(lambda: ns.sysctl("net.core.somaxconn"))) == accept_queue.default_somaxconn(KERNEL)


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
    assert proc_depth == info_depth == predicted.queued.low == min(connects, backlog + 1)
    assert moved == {name: count.low for name, count in predicted.counters.items() if count.low}


# -- rules 4, 7, 13: the final ACK on a full queue, by hand -----------------------------------------------------------


def final_ack(cookies: int, abort: int, shifts: tuple[int, ...] = (0,), mss: int = 1460) -> list[dict[str, Any]]:
    """A half-open (or cookie) client whose queue fills before its ACK; then segments at these shifts, one by one."""
    lossless_default_route()
    ns.sysctl("net.ipv4.tcp_syncookies", cookies)
    ns.sysctl("net.ipv4.tcp_abort_on_overflow", abort)
    ns.sysctl("net.ipv4.tcp_invalid_ratelimit", 0)
    seen = []
    with listener(1), contextlib.closing(packets.HandMade(PORT, mss)) as peer:
        peer.syn()
        fill = begin_connects(2)
        for shift in shifts:
            before = ns.counters()
            peer.ack(shift, b"x" if shift else b"")
            moved = relevant(ns.deltas(before, ns.counters()))
            half_open = ns.census(PORT).get("SYN_RECV", 0)
            seen.append({"counters": moved, "reset": peer.was_reset(), "half_open": half_open})
        assert states(fill) == (2, 0)
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


@pytest.mark.parametrize("mss", [536, 1300, 1440, 1460])
@pytest.mark.parametrize("shift", [0, 1, 2, 3, 4, 1400])
def test_rule_13_which_segments_carry_a_valid_cookie(mss: int, shift: int) -> None:
    [seen] = ns.in_namespace(lambda: final_ack(2, 0, (shift,), mss))
    fate = syn_cookies.segment_fate(shift, queue_full=True, index=syn_cookies.mss_index(mss))
    assert seen["reset"] is (fate == "reset")
    dropped = accept_queue.final_ack_refused(by_cookie=True).counters
    assert seen["counters"] == ({"SyncookiesFailed": 1} if fate == "reset" else dropped)


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

    assert syn_cookies.segment_fate(1, queue_full=False) == "accepted"
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
    assert reset == syn_cookies.client_errors(fin_first=False)
    assert fin == syn_cookies.client_errors(fin_first=True)


# -- rule 8: TCP_DEFER_ACCEPT ------------------------------------------------------------------------------------------


def test_rule_8_seconds_become_timeouts() -> None:
    with socket.socket() as server:
        for seconds in (0, 1, 2, 3, 4, 7, 8, 60, 63, 64, 127, 128, 1000, 20_000):
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, seconds)
            predicted = synack_retries.deferred_s(synack_retries.defer_accept_timeouts(seconds))
            assert server.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT) == predicted


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
    syns = 6000

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
    limit = accept_queue.granted(backlog, somaxconn)
    predicted = syn_queue.flood(syns, limit, max_syn_backlog, cookies, KERNEL)
    assert predicted is not None
    assert half_open == predicted.half_open
    assert moved == predicted.counters


# -- rule 16: a burst within one round trip ---------------------------------------------------------------------------


@pytest.mark.parametrize(("cookies", "backlog", "number"), BURSTS)
def test_rule_16_a_burst_within_one_round_trip(cookies: int, backlog: int, number: int) -> None:
    measured = ns.in_namespace(lambda: measure_burst(cookies, backlog, number))
    assert measured["within_s"] < _RTT_S, "this machine is too busy to send the burst within one round trip"
    assert measured["taken_s"] < 1, "this machine is too busy to look before SYNs are sent again"
    asked = burst.Clients(connects=number, within_s=measured["within_s"], rtt_s=_RTT_S)
    predicted = burst.predict(asked, burst.Server(limit=backlog, tcp_syncookies=cookies, kernel=KERNEL))
    assert predicted is not None
    assert predicted.exact
    assert measured["connected"] == predicted.connected.low
    assert measured["waiting"] == predicted.waiting.low
    assert measured["census"].get("ESTABLISHED", 0) == predicted.established.low
    assert measured["census"].get("SYN_RECV", 0) == predicted.half_open.low
    assert measured["depth"] == predicted.queued.low
    assert measured["connected"] - measured["census"].get("ESTABLISHED", 0) == predicted.ghosts.low
    assert measured["counters"] == {name: count.low for name, count in predicted.counters.items() if count.low}


# -- rules 20 and 21: ports --------------------------------------------------------------------------------------------


def connects_until_refused(tries: int, prepare: Callable[[socket.socket], None] | None = None) -> tuple[list[int], int]:
    """The ports that connect() picked, in order, until EADDRNOTAVAIL; and how many of `tries` worked in the end."""
    ports: list[int] = []
    kept: list[socket.socket] = []
    first_refusal: int | None = None
    for _ in range(tries):
        client = socket.socket()
        kept.append(client)
        if prepare:
            prepare(client)
        failure = client.connect_ex(HERE)
        if failure:
            assert failure == errno.EADDRNOTAVAIL
            first_refusal = len(ports) if first_refusal is None else first_refusal
        else:
            ports.append(client.getsockname()[1])
    assert first_refusal is not None
    return ports, first_refusal


@pytest.mark.parametrize(
    ("size", "reserved", "bound"),
    [(1, (), ()), (2, (), ()), (3, (), ()), (4, (), ()), (5, (), ()), (10, (), ()), (11, (), ()),
     (10, (40003,), ()), (10, (39999, 40010), ()), (10, (40000, 40001), (40002, 40005)), (3, (40001,), ()),
     (3, (40002,), ()), (1, (40000,), ())],
)  # fmt: skip
def test_rule_21_capacity(size: int, reserved: tuple[int, ...], bound: tuple[int, ...]) -> None:
    low, high = 40000, 40000 + size - 1

    def measure() -> tuple[list[int], int]:
        ns.sysctl("net.ipv4.ip_local_port_range", f"{low} {high}")
        ns.sysctl("net.ipv4.ip_local_reserved_ports", ",".join(map(str, reserved)))
        with contextlib.ExitStack() as stack:
            stack.enter_context(listener(4096))
            for port in bound:
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return connects_until_refused(size * 6)

    ports, before_refusal = ns.in_namespace(measure)
    predicted = ephemeral_ports.capacity(low, high, reserved, bound)
    assert before_refusal in predicted.connections
    assert len(ports) in predicted.connections  # a search that failed once starts at the same place again
    assert not {*ports} & {*reserved, *bound}


@pytest.mark.parametrize("low", [40000, 40001])
def test_rule_20_one_parity_first(low: int) -> None:
    def measure() -> list[int]:
        with listener(4096):
            return connects_until_refused(11)[0]

    ports = ns.in_namespace(measure, sysctls={"net.ipv4.ip_local_port_range": f"{low} {low + 9}"})
    assert [ephemeral_ports.parity(port, low) for port in ports] == ["first"] * 5 + ["second"] * 5


def test_rule_21_per_socket_range_has_no_parity_and_loses_no_port() -> None:
    def narrowed(client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_IP, _IP_LOCAL_PORT_RANGE, struct.pack("=I", 40006 << 16 | 40002))

    def measure() -> tuple[list[int], int]:
        with listener(4096):
            return connects_until_refused(8, narrowed)

    ports, before_refusal = ns.in_namespace(measure, sysctls={"net.ipv4.ip_local_port_range": "40000 40009"})
    predicted = ephemeral_ports.capacity(40002, 40006, per_socket=True)
    assert before_refusal in predicted.connections
    assert predicted.connections.exact
    assert sorted(ports) == list(range(40002, 40007))


@pytest.mark.parametrize("no_port", [False, True])
def test_rule_21_a_bound_source_address_takes_a_port_unless_told_not_to(no_port: bool) -> None:
    def bound(client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, no_port)
        client.bind(("127.0.0.2", 0))

    def measure() -> int:
        with listener(4096), contextlib.ExitStack() as stack:
            for _ in range(3):
                client = stack.enter_context(socket.socket())
                bound(client)
                client.connect(HERE)
            return connects_until_refused(20)[1]

    taken = () if no_port else range(3)  # which three does not matter for the count
    predicted = ephemeral_ports.capacity(0x9C40, 0x9C40 + 9, bound=[0x9C40 + place for place in taken])
    measured = ns.in_namespace(measure, sysctls={"net.ipv4.ip_local_port_range": "40000 40009"})
    assert measured in predicted.connections


# -- rule 22 between two hosts, rule 24, rule 25 -----------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_rule_22_between_two_hosts(mode: int) -> None:
    def measure() -> int:
        near, far = ns.Namespace(), ns.Namespace()
        ns.joined(near, "10.2.0.1/24", far, "10.2.0.2/24")
        with far.entered():
            server = listener(16, "10.2.0.2")
        with near.entered(), server:
            for name, value in (
                ("ip_local_port_range", "40000 40000"),
                ("tcp_tw_reuse", mode),
                ("tcp_tw_reuse_delay", 1),
            ):
                ns.sysctl(f"net.ipv4.{name}", value)
            client = socket.create_connection(("10.2.0.2", PORT))
            accepted, _ = server.accept()
            client.close()
            accepted.close()
            ns.until(lambda: ns.census().get("TIME_WAIT"), why="TIME_WAIT at the client")
            old = time.monotonic() + 0.01
            ns.until(lambda: time.monotonic() > old)  # well past a delay of 1 ms
            with socket.socket() as again:
                return again.connect_ex(("10.2.0.2", PORT))

    worked = ns.in_namespace(measure) == 0
    assert worked is time_wait.reuses(mode, loopback=False)


@pytest.mark.parametrize("closes", [4, 5, 6, 8])
def test_rule_24_max_tw_buckets(closes: int) -> None:
    def measure() -> tuple[int, dict[str, int]]:
        with listener(64) as server:
            before = ns.counters()
            for _ in range(closes):
                client, (accepted, _) = socket.create_connection(HERE), server.accept()
                client.close()
                accepted.close()
            ns.until(lambda: not {"FIN_WAIT1", "FIN_WAIT2", "LAST_ACK", "CLOSING"} & set(ns.census()), why="all closed")
            return ns.census().get("TIME_WAIT", 0), ns.deltas(before, ns.counters())

    left, moved = ns.in_namespace(measure, sysctls={"net.ipv4.tcp_max_tw_buckets": 5})
    predicted = time_wait.over_buckets(closes, 5)
    assert left == predicted.time_wait
    assert {name: moved[name] for name in moved if name == "TCPTimeWaitOverflow"} == predicted.counters


def test_rule_25_emfile_leaves_the_connection_queued() -> None:
    def measure() -> tuple[int, int, int, int]:
        with listener(5) as server, contextlib.ExitStack() as stack:
            clients = begin_connects(2)
            used = max(client.fileno() for client in clients) + 1  # lowest free numbers are taken first: no holes
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + 3, used + 3))
            opened = 0
            with contextlib.suppress(OSError):
                while True:
                    stack.enter_context(open("/dev/null", encoding="ascii"))
                    opened += 1
            with contextlib.suppress(OSError):
                server.accept()
                return 0, 0, 0, 0
            failure = ctypes.CDLL(None, use_errno=True)
            failure.accept(server.fileno(), None, None)
            return used, opened, ctypes.get_errno(), depth_and_limit(server)[0]

    used, opened, failure, depth = ns.in_namespace(measure)
    predicted = descriptors.available(used + 3, used)
    # The child's descriptors may have holes below `used` (pytest's own): those are free numbers too.
    assert opened >= (predicted.available or 0)
    assert errno.errorcode[failure] == predicted.errno
    assert (depth == 2) is descriptors.accept_without_descriptor().stays_queued


# -- the slow ones, collected ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REUSE)
def test_rule_22_one_port(running: dict[str, ns.Running], name: str) -> None:
    mode, delay_ms, timestamps, port_given = REUSE[name]
    attempts = running[f"reuse {name}"].result()
    allowed = time_wait.reuses(mode, loopback=True, timestamps=bool(timestamps), port_given=port_given)
    wait = time_wait.reuse_after_s(KERNEL, delay_ms)
    assert len(attempts) == 1 or not port_given
    for youngest, oldest, failure in attempts:
        assert failure in (0, errno.EADDRNOTAVAIL)
        if not allowed:
            assert failure
        elif not port_given and time_wait.port_free_again(oldest + 0.001, wait) is False:  # the kernel counts whole ms
            assert failure, f"reused after {oldest} s at the most"
        elif port_given or time_wait.port_free_again(max(0, youngest - 0.002), wait):
            assert not failure, f"refused after {youngest} s at the least"
    assert (attempts[-1][2] == 0) is allowed


@pytest.mark.parametrize("cookies", [0, 1, 2])
def test_rule_15_served_and_reset(running: dict[str, ns.Running], cookies: int) -> None:
    backlog, clients = FATES
    predicted = syn_cookies.fates(clients, backlog, cookies, 2048, KERNEL, segment_bytes=(90, 90))
    assert predicted is not None
    measured = running[f"fates {cookies}"].result()
    assert measured == {"served": predicted.served_later, "reset": predicted.reset, "other": 0}


@pytest.mark.parametrize("name", TIMELINES)
def test_rules_17_and_18_timeline(running: dict[str, ns.Running], name: str) -> None:
    retries, linear, rto_max_ms, user_timeout_ms = TIMELINES[name]
    measured = running[f"timeline {name}"].result()
    predicted = syn_retries.timeline(retries, linear, rto_max_ms, user_timeout_ms)
    assert measured["errno"] == errno.ETIMEDOUT
    assert measured["TCPSynRetrans"] == len(predicted.retransmits_s)
    # Each SYN met the full queue (rule 3).
    assert measured["ListenOverflows"] == measured["ListenDrops"] == 1 + len(predicted.retransmits_s)
    span = predicted.gives_up_between_s
    assert span.high is not None
    assert span.low <= measured["elapsed_s"] <= span.high + _LOAD_S


def test_rule_6_expiry(running: dict[str, ns.Running]) -> None:
    first, elapsed_s, left = running["expiry"].result()
    span = synack_retries.timeline(1).expires_between_s
    assert span.high is not None
    assert (first, left) == (3, 0)
    assert span.low <= elapsed_s <= span.high + _LOAD_S


def test_rule_6_pruning_spares_half_the_room(running: dict[str, ns.Running]) -> None:
    first, elapsed_s, left = running["pruning"].result()
    span = synack_retries.timeline(synack_retries.effective_retries(5, 129, 0, 128)).expires_between_s
    assert span.high is not None
    assert (first, left) == (129, synack_retries.survivors(129, 128))
    assert span.low <= elapsed_s <= span.high + timer_wheel.granularity_s(4) + _LOAD_S
