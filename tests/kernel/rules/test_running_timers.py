"""Rules 6, 15 to 19 and 22 against the kernel that runs here: what takes seconds.

Each test runs in a network namespace of its own. Those with long waits start together and are collected last.
Where no namespace can be had the tests fail and say why.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from tests import namespaces as ns
from tests.again import attempt
from tests.kernel.rules import packets
from tests.kernel.rules.kernel_probes import (
    FAR,
    HERE,
    HZ,
    KERNEL,
    PORT,
    RTT_S,
    begin_connects,
    depth_and_limit,
    has_sysctl,
    hosts,
    listener,
    lossless_default_route,
    relevant,
    states,
)

from estab.kernel.rules import (
    burst,
    syn_queue,
    syn_retries,
    synack_retries,
    time_wait,
    timer_wheel,
)

pytestmark = pytest.mark.namespace

# How much later than the kernel's own interval a busy machine may let a test see a timer.
_LOAD_S = 1.0


# -- slow ones, started together --------------------------------------------------------------------------------------

HAS_LINEAR, HAS_RTO_MAX, HAS_DELAY = map(
    has_sysctl, ("tcp_syn_linear_timeouts", "tcp_rto_max_ms", "tcp_tw_reuse_delay")
)
DEFAULT_LINEAR = syn_retries.LINEAR_TIMEOUTS if HAS_LINEAR else 0
TIMELINES = {  # tcp_syn_retries, tcp_syn_linear_timeouts, tcp_rto_max_ms, TCP_USER_TIMEOUT in ms
    "1 retry": (1, 0, 120_000, 0),
    "1 retry, linear": (1, 4, 120_000, 0),
    "2 retries, waits capped at 1 s": (2, 0, 1000, 0),
    "2 retries, linear": (2, 4, 120_000, 0),
    "user timeout below 1 s": (6, DEFAULT_LINEAR, 120_000, 300),
    "user timeout of 1.5 s": (6, DEFAULT_LINEAR, 120_000, 1500),
    "user timeout above the model's time": (1, DEFAULT_LINEAR, 120_000, 4000),
}
# What this kernel can be told: where it lacks the sysctl, it does as with this value.
TIMELINES = {
    name: asked
    for name, asked in TIMELINES.items()
    if (HAS_LINEAR or not asked[1]) and (HAS_RTO_MAX or asked[2] == 120_000)
}


def measure_timeline(retries: int, linear: int, rto_max_ms: int, user_timeout_ms: int) -> dict[str, float]:
    """A connect() to a full queue, until it fails."""
    ns.sysctl("net.ipv4.tcp_syn_retries", retries)
    if HAS_LINEAR:
        ns.sysctl("net.ipv4.tcp_syn_linear_timeouts", linear)
    if HAS_RTO_MAX:
        ns.sysctl("net.ipv4.tcp_rto_max_ms", rto_max_ms)
    with listener(0), socket.create_connection(HERE), socket.socket() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, user_timeout_ms)
        before, start = ns.counters(), time.monotonic()
        failure = client.connect_ex(HERE)
        elapsed = time.monotonic() - start
    return {"errno": failure, "elapsed_s": elapsed} | ns.deltas(before, ns.counters())


BANDS = [(linear, resent) for linear in (0, 4) for resent in (1, 2) if HAS_LINEAR or not linear]


def measure_band(linear: int, resent: int) -> tuple[float, int]:
    """How long a connect() takes whose SYN finds room when it is sent again for the `resent`th time; TCPSynRetrans."""
    if HAS_LINEAR:
        ns.sysctl("net.ipv4.tcp_syn_linear_timeouts", linear)
    with listener(0) as server, socket.create_connection(HERE), socket.socket() as client:
        before, start = ns.counters(), time.monotonic()
        client.setblocking(False)
        assert client.connect_ex(HERE) == errno.EINPROGRESS
        ns.until(lambda: ns.counters()["ListenDrops"] - before["ListenDrops"] == resent, why="the SYNs before")
        with server.accept()[0]:  # room for the next
            ns.until(lambda: states([client]) == (1, 0), every_s=0.01, why="the SYN that is let in")
            return time.monotonic() - start, ns.deltas(before, ns.counters())["TCPSynRetrans"]


def measure_half_open(
    syns: int, backlog: int, retries: int, left: int, rto_max_ms: int | None = None
) -> tuple[int, float, int]:
    """SYN_RECV after `syns` SYNs, the seconds until `left` of them are left, and how many that are."""
    lossless_default_route()
    ns.sysctl("net.ipv4.tcp_synack_retries", retries)
    if rto_max_ms is not None:
        ns.sysctl("net.ipv4.tcp_rto_max_ms", rto_max_ms)
    with listener(backlog):
        start = time.monotonic()
        packets.flood(PORT, syns)
        first = ns.census(PORT).get("SYN_RECV", 0)
        ns.until(lambda: ns.census(PORT).get("SYN_RECV", 0) <= left, within_s=15, why=f"{left} SYN_RECV left")
        elapsed = time.monotonic() - start
        # The rest must stay: another timer of the same moment would have run with these.
        ns.until(lambda: time.monotonic() > start + elapsed + 0.3)
        return first, elapsed, ns.census(PORT).get("SYN_RECV", 0)


EXPIRIES: dict[str, tuple[int, int, int | None]] = {  # tcp_synack_retries, how many are left, tcp_rto_max_ms
    "1 retry": (1, 0, None),
    **({"2 retries, waits capped at 1 s": (2, 0, 1000)} if HAS_RTO_MAX else {}),
}
REUSE = {  # tcp_tw_reuse, tcp_tw_reuse_delay in ms, tcp_timestamps, whether the client binds the port itself
    "off": (0, 1000, 1, False),
    "on": (1, 1000, 1, False),
    "on, delay 100 ms": (1, 100, 1, False),
    "loopback": (2, 1000, 1, False),
    "loopback, delay 100 ms": (2, 100, 1, False),
    "on, without timestamps": (1, 1000, 0, False),
    "off, port bound by the client": (0, 1000, 1, True),
}
REUSE = {name: asked for name, asked in REUSE.items() if HAS_DELAY or asked[1] == time_wait.DEFAULT_REUSE_DELAY_MS}


def measure_reuse(mode: int, delay_ms: int, timestamps: int, port_given: bool) -> list[tuple[float, float, int]]:
    """One port, the client closes first, then it connects again and again: age before and after, and errno, of each."""
    ns.sysctl("net.ipv4.ip_local_port_range", "40000 40000")
    ns.sysctl("net.ipv4.tcp_tw_reuse", mode)
    if HAS_DELAY:
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
        time.sleep(0.0005)  # the kernel counts whole ms: to ask it all the time takes a processor


BURSTS = [(cookies, *sizes) for cookies in (0, 1, 2) for sizes in ((4, 4), (4, 5), (4, 6), (128, 400))]
FATES = (16, 40)  # backlog, clients; without cookies the last are let in by their third SYN, 7 s after the first


def measure_burst(cookies: int, backlog: int, number: int) -> dict[str, Any]:
    """`number` connects over a wire with a round-trip time, all SYNs within it, at a server that never accepts."""
    with contextlib.ExitStack() as stack:
        pair = stack.enter_context(hosts(cookies, backlog, together=number))
        with pair.server.entered():
            before = ns.counters()
        with pair.client.entered():
            start = time.monotonic()
            clients = [stack.enter_context(client) for client in begin_connects(number, FAR)]
        pair.there_and_back()  # the SYN-ACKs have come
        pair.there_and_back()  # and the ACKs that answered them
        with pair.server.entered():
            moved = relevant(ns.deltas(before, ns.counters()))
            seen = ns.census(PORT)
            depth = depth_and_limit(pair.listener)[0]
        connected, waiting = states(clients)
        return {"taken_s": time.monotonic() - start, "connected": connected, "waiting": waiting, "census": seen,
                "depth": depth, "counters": moved}  # fmt: skip


def measure_fates(cookies: int, backlog: int, number: int) -> dict[str, int]:
    """`number` clients that write 90 bytes twice as soon as they connect; the server accepts once that has come.

    How many got an answer, how many ECONNRESET, how many something else.
    """
    found = {"served": 0, "reset": 0, "other": 0}
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        pair = stack.enter_context(hosts(cookies, backlog, together=number))
        pair.listener.setblocking(False)
        with pair.client.entered():
            clients = [stack.enter_context(client) for client in begin_connects(number, FAR)]
        pair.there_and_back()  # who is let in at once is connected
        for client in clients:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(client, selectors.EVENT_WRITE)
        _take_turns(selector, found)
        pair.there_and_back()  # what was written has come, and what answered it
        start = time.monotonic()
        while sum(found.values()) < number:
            assert time.monotonic() < start + 20, f"after 20 s: {found}"
            _answer_all(pair.listener, stack)
            _take_turns(selector, found, 0.05)
    return found


def _take_turns(selector: selectors.BaseSelector, found: dict[str, int], wait_s: float = 0.0) -> None:
    """What the clients do that can do something: each writes when it is connected, then reads."""
    for key, _ in selector.select(wait_s):
        client = key.fileobj
        assert isinstance(client, socket.socket)
        if key.events == selectors.EVENT_WRITE:
            _write_twice(client)
            selector.modify(client, selectors.EVENT_READ)
        else:
            found[_fate(client)] += 1
            selector.unregister(client)


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


# Pruning stops as soon as 2 * queued is no longer above max(8, B): net/ipv4/inet_connection_sock.c reqsk_timer_handler.
HALF_THE_ROOM = 128 // 2
FULL = syn_queue.fits_backlog(128, KERNEL) or 128


def slow_ones() -> dict[str, Callable[[], Any]]:
    """What each slow child measures, by name."""
    work: dict[str, Callable[[], Any]] = {
        **{f"expiry {name}": partial(measure_half_open, 3, 128, *asked) for name, asked in EXPIRIES.items()},
        "pruning": lambda: measure_half_open(FULL, 128, 5, HALF_THE_ROOM),
    }
    work |= {f"fates {cookies}": (lambda cookies=cookies: measure_fates(cookies, *FATES)) for cookies in (0, 1, 2)}
    work |= {f"band {linear} {resent}": partial(measure_band, linear, resent) for linear, resent in BANDS}
    work |= {f"timeline {name}": (lambda asked=asked: measure_timeline(*asked)) for name, asked in TIMELINES.items()}
    return work | {f"reuse {name}": (lambda asked=asked: measure_reuse(*asked)) for name, asked in REUSE.items()}


@pytest.fixture(scope="module", autouse=True)
def running() -> Iterator[dict[str, ns.Running]]:
    """The slow children, by name. Started before the first test of this file."""
    children = {name: ns.start_in_namespace(measure) for name, measure in slow_ones().items()}
    yield children
    for child in children.values():
        child.stop()


@pytest.fixture
def outcome(running: dict[str, ns.Running], request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """What a slow child measured. Where the first try differed the machine may have been too busy: then anew, alone."""

    def of(name: str) -> Any:
        again = attempt(request.node) > 1
        return ns.in_namespace(slow_ones()[name]) if again else running[name].result()

    return of


# -- rule 16: a burst within one round trip ---------------------------------------------------------------------------


def in_time(measured: dict[str, Any]) -> bool:
    """Whether the burst was over before SYNs are sent again."""
    return bool(measured["taken_s"] < 1)


@pytest.fixture(scope="module")
def bursts() -> dict[tuple[int, ...], dict[str, Any]]:
    """Three side by side: they wait. One for which the machine was too busy is measured again, alone."""
    found: dict[tuple[int, ...], dict[str, Any]] = {}
    for first in range(0, len(BURSTS), 3):
        children = {one: ns.start_in_namespace(partial(measure_burst, *one)) for one in BURSTS[first : first + 3]}
        found |= {one: child.result() for one, child in children.items()}
    for one in BURSTS:
        for _ in range(3):
            if not in_time(found[one]):
                found[one] = ns.in_namespace(partial(measure_burst, *one))
    return found


@pytest.mark.parametrize(("cookies", "backlog", "number"), BURSTS)
def test_rule_16_a_burst_within_one_round_trip(
    cookies: int,
    backlog: int,
    number: int,
    bursts: dict[tuple[int, ...], dict[str, Any]],
    request: pytest.FixtureRequest,
) -> None:
    asked_for = cookies, backlog, number
    again = attempt(request.node) > 1
    measured = ns.in_namespace(partial(measure_burst, *asked_for)) if again else bursts[asked_for]
    assert in_time(measured), f"this machine is too busy: in a second the burst was not over: {measured}"
    asked = burst.Clients(connects=number, within_s=0, rtt_s=RTT_S)
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


# -- the slow ones, collected ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REUSE)
def test_rule_22_one_port(outcome: Callable[[str], Any], name: str) -> None:
    mode, delay_ms, timestamps, port_given = REUSE[name]
    attempts = outcome(f"reuse {name}")
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
def test_rule_15_served_and_reset(outcome: Callable[[str], Any], cookies: int) -> None:
    backlog, clients = FATES
    predicted = burst.predict(
        burst.Clients(connects=clients, within_s=0, rtt_s=RTT_S, segment_bytes=(90, 90)),
        burst.Server(limit=backlog, tcp_syncookies=cookies, kernel=KERNEL),
    )
    assert predicted is not None
    reset = predicted.errors["ECONNRESET"].low
    measured = outcome(f"fates {cookies}")
    assert measured == {"served": clients - reset, "reset": reset, "other": 0}


@pytest.mark.parametrize("name", TIMELINES)
def test_rules_17_to_19_timeline(outcome: Callable[[str], Any], name: str) -> None:
    retries, linear, rto_max_ms, user_timeout_ms = TIMELINES[name]
    measured = outcome(f"timeline {name}")
    predicted = syn_retries.timeline(retries, linear, rto_max_ms, user_timeout_ms, hz=HZ)
    assert measured["errno"] == errno.ETIMEDOUT
    assert measured["TCPSynRetrans"] == len(predicted.retransmits_s)
    # Each SYN met the full queue (rule 3).
    assert measured["ListenOverflows"] == measured["ListenDrops"] == 1 + len(predicted.retransmits_s)
    span = predicted.gives_up_between_s
    assert span.high is not None
    assert span.low <= measured["elapsed_s"] <= span.high + _LOAD_S


@pytest.mark.parametrize(("linear", "resent"), BANDS)
def test_rule_19_bands(outcome: Callable[[str], Any], linear: int, resent: int) -> None:
    took_s, resends = outcome(f"band {linear} {resent}")
    span = syn_retries.bands(resent, linear, hz=HZ)[resent].between_s
    assert span.high is not None
    assert resends == resent
    assert span.low <= took_s <= span.high + _LOAD_S


@pytest.mark.parametrize("name", EXPIRIES)
def test_rule_6_expiry(outcome: Callable[[str], Any], name: str) -> None:
    retries, _, rto_max_ms = EXPIRIES[name]
    first, elapsed_s, left = outcome(f"expiry {name}")
    span = synack_retries.timeline(retries, hz=HZ, rto_max_ms=rto_max_ms or 120_000, kernel=KERNEL).expires_between_s
    assert span.high is not None
    assert (first, left) == (3, 0)
    assert span.low <= elapsed_s <= span.high + _LOAD_S


def test_rule_6_pruning_spares_half_the_room(outcome: Callable[[str], Any]) -> None:
    first, elapsed_s, left = outcome("pruning")
    retries = synack_retries.effective_retries(5, FULL, 0, 128)
    span = synack_retries.timeline(retries, hz=HZ, kernel=KERNEL).expires_between_s
    assert span.high is not None
    assert (first, left) == (FULL, HALF_THE_ROOM)
    assert span.low <= elapsed_s <= span.high + timer_wheel.granularity_s(4, HZ) + _LOAD_S
