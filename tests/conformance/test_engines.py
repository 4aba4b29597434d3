"""One suite for both engines: every workload, every failure, counted alike. `load/pyengine` is the specification."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests import servers
from tests.conformance.counts import assert_counts_add_up, assert_healthy, failed

import estab
from estab import RunResult, Service, _engine
from estab.load import block, pyengine
from estab.load.block import hdr_index, hdr_value
from estab.load.pyengine.counting import payload
from estab.observe.sock_diag import SockDiag
from estab.phases import PHASES
from estab.records import ArrivalOrder

SHORT = 0.05  # of a load that goes as fast as it can, on two cores


# --- every workload ---


@pytest.mark.parametrize(("size", "depth"), [(1, 1), (64, 1), (1400, 8), (200_000, 1), (70_000, 3), (8191, 1)])
def test_rr(engine: str, size: int, depth: int) -> None:
    run = estab.bench(connections=20, duration_s=SHORT, size_bytes=size, depth=depth)
    assert_healthy(run, 20)
    assert run.engine == engine
    assert run.funnel.first_byte == run.funnel.accepted == 20
    assert run.requests is not None
    assert run.requests.count >= 20 * depth
    assert run.requests.bytes == run.requests.count * size
    assert run.latency.request_us is not None
    assert run.latency.request_us.count == run.requests.count
    assert run.latency.connect_us is not None
    assert run.latency.connect_us.count == 20


@pytest.mark.parametrize("size", [1, 1400, 100_000])
def test_flood(size: int) -> None:
    run = estab.bench(connections=20, duration_s=SHORT, size_bytes=size, mode="flood")
    assert_healthy(run, 20)
    assert run.requests is not None
    assert run.requests.bytes >= run.requests.count * size > 0
    assert run.latency.request_us is not None
    assert run.latency.request_us.count >= 20


def test_hold_and_close() -> None:
    run = estab.hold(connections=300, duration_s=0.1)
    assert_healthy(run, 300)
    assert run.funnel.accepted == 300
    assert run.syn_retransmits == {"0": 300}


def test_hold_follows_the_ramp() -> None:
    run = estab.hold(connections=40, duration_s=0.0 + 0.001, ramp_per_s=100)
    assert_healthy(run, 40)
    points = [point for point in run.timeline if point.attempted]
    assert all(point.attempted <= 100 * point.t_s + 4 for point in points)
    assert run.elapsed_s >= 0.35


@pytest.mark.parametrize("size", [0, 1, 3000])
@pytest.mark.parametrize(("close", "first_close"), [("fin", "client"), ("rst", "client"), ("fin", "server")])
def test_churn(size: int, close: str, first_close: str) -> None:
    run = estab.churn(connections=4, attempts=200, size_bytes=size, close=close, first_close=first_close)  # type: ignore[arg-type]
    assert_healthy(run, 200)
    assert run.funnel.attempted == 200
    assert run.funnel.accepted == 200
    if size:
        assert run.requests is not None
        assert run.requests.count == 200


def test_a_run_that_has_nothing_left_to_do_is_over() -> None:
    run = estab.churn(connections=10, attempts=10, duration_s=30)
    refused = estab.bench(f"127.0.0.1:{servers.closed_port()}", connections=10, duration_s=30)
    assert run.elapsed_s < 15  # of 30, on the busiest machine too
    assert refused.elapsed_s < 15


def test_sink_swallows() -> None:
    run = estab.hold(connections=5, duration_s=0.05, options=estab.LoadOptions(service=Service("sink")))
    assert_healthy(run, 5)


def test_ipv6() -> None:
    run = estab.bench(connections=10, duration_s=SHORT, options=estab.LoadOptions(service=Service("echo", host="::1")))
    assert_healthy(run, 10)
    assert str(run.config["target"]).startswith("[::1]:")


def test_source_addresses_are_taken_in_turn() -> None:
    seen: set[str] = set()

    def note(sock: socket.socket) -> None:
        seen.add(sock.getpeername()[0])
        sock.recv(1)

    with servers.misbehaving(note) as target:
        estab.hold(target, connections=1, duration_s=0.01, options=estab.LoadOptions(sources=("127.0.0.7",)))
        estab.hold(target, connections=1, duration_s=0.01, options=estab.LoadOptions(sources=("127.0.0.8",)))
    assert seen >= {"127.0.0.7", "127.0.0.8"}


# --- every failure ---


def test_refused() -> None:
    port = servers.closed_port()
    run = estab.hold(f"127.0.0.1:{port}", connections=30, duration_s=0.01)
    assert failed(run) == {("connect", "ECONNREFUSED"): 30}
    assert run.failures[0].example is not None
    assert f"127.0.0.1:{port}" in run.failures[0].example
    assert run.diagnosis is not None
    assert run.diagnosis.cause == "nobody_listening"
    assert_counts_add_up(run)


def test_refused_in_a_loop_is_no_busy_loop() -> None:
    run = estab.churn(f"127.0.0.1:{servers.closed_port()}", connections=2, duration_s=SHORT)
    assert 2 <= run.funnel.attempted <= 2 * (SHORT / 0.01 + 2)
    assert failed(run) == {("connect", "ECONNREFUSED"): run.funnel.attempted}


@pytest.mark.parametrize(
    ("handler", "phases", "errno"),
    [
        (servers.reset_at_once, {"read", "write"}, "ECONNRESET"),
        (servers.reset_on_data, {"read", "write"}, "ECONNRESET"),
        (servers.wrong_bytes, {"read"}, "wrong_bytes"),
        (servers.too_many_bytes, {"read"}, "wrong_bytes"),
        (servers.half_an_answer, {"read"}, "eof"),
    ],
)
def test_a_peer_that_misbehaves(handler: servers.Handler, phases: set[str], errno: str) -> None:
    with servers.misbehaving(handler) as target:
        run = estab.bench(target, connections=1, duration_s=SHORT, size_bytes=1000)
    assert {name for _phase, name in failed(run)} <= {errno, "EPIPE"}
    assert {phase for phase, _name in failed(run)} <= phases
    assert sum(failed(run).values()) == 1
    assert run.funnel.completed == 0
    assert_counts_add_up(run)


def test_the_order_of_errors_tells_a_reset_from_a_close() -> None:
    """docs/kernel.md rule 14: after a RST first ECONNRESET, then writes get EPIPE and reads get EOF."""
    with servers.misbehaving(servers.reset_on_data) as target:
        reset = estab.bench(target, connections=1, duration_s=SHORT, size_bytes=1000)
    with servers.misbehaving(servers.half_an_answer) as target:
        closed = estab.bench(target, connections=1, duration_s=SHORT, size_bytes=1000)
    assert [(found.order, found.count) for found in reset.error_orders] == [(["ECONNRESET", "EPIPE", "eof"], 1)]
    assert [(found.order[0], found.count) for found in closed.error_orders] == [("eof", 1)]


@pytest.mark.parametrize(
    ("kept", "in_order"),
    [(range(10), 200), (range(20, 30), 0), (range(5, 15), 150), (range(0, 30, 3), 110)],
)
def test_whether_those_that_came_first_stayed(kept: range, in_order: int) -> None:
    stay: list[socket.socket] = []
    numbers = iter(range(30))

    def handle(sock: socket.socket) -> None:
        if next(numbers) in kept:
            stay.append(sock.dup())

    with servers.misbehaving(handle) as target:
        run = estab.hold(target, connections=30, duration_s=0.3, options=estab.LoadOptions(processes=1))
    for sock in stay:
        sock.close()
    assert run.arrival_order == ArrivalOrder(stayed=10, failed=20, pairs=200, in_order=in_order)


def test_own_timeout_of_a_connect_is_not_the_kernels() -> None:
    with own_server(Service("stall", backlog=0)) as target, waiting_in_the_queue(target):
        run = estab.hold(target, connections=3, duration_s=0.01, options=estab.LoadOptions(timeout_s=0.2))
    assert failed(run) == {("connect", "own_timeout"): 3}
    assert run.funnel.connected == 0
    assert run.failures[0].first_s is not None
    assert run.failures[0].last_s is not None
    assert 0.2 <= run.failures[0].first_s <= run.failures[0].last_s < 60  # the kernel's own comes after two minutes
    assert_counts_add_up(run)


def test_no_answer() -> None:
    run = estab.bench(connections=3, duration_s=0.1, options=estab.LoadOptions(timeout_s=0.2, service=Service("sink")))
    assert failed(run) == {("read", "own_timeout"): 3}
    assert run.funnel.first_byte == 0
    assert_counts_add_up(run)


def test_churn_times_out_on_a_silent_server() -> None:
    run = estab.churn(
        connections=2, attempts=4, size_bytes=5, options=estab.LoadOptions(timeout_s=0.1, service=Service("sink"))
    )
    assert failed(run) == {("read", "own_timeout"): 4}
    assert_counts_add_up(run)


def test_held_connections_that_the_peer_closes() -> None:
    run = estab.hold(
        connections=5, duration_s=0.2, options=estab.LoadOptions(service=Service("echo", close_after_bytes=0))
    )
    assert failed(run) == {("read", "eof"): 5}
    assert_counts_add_up(run)


def test_held_connections_that_the_peer_resets() -> None:
    run = estab.hold(
        connections=5,
        duration_s=0.2,
        options=estab.LoadOptions(service=Service("echo", close_after_bytes=0, reset=True)),
    )
    assert failed(run) == {("read", "ECONNRESET"): 5}


def test_a_source_that_is_not_ours() -> None:
    with pytest.raises(estab.UsageError, match=r"192\.0\.2\.1 is not an address of this host"):
        estab.hold(connections=3, duration_s=0.01, options=estab.LoadOptions(sources=("192.0.2.1",)))


# --- limits of descriptors, in a process of their own ---

UNDER_LIMIT = """
import resource, sys, estab
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[1])))
run = eval(sys.argv[2])
sys.stdout.buffer.write(estab.records.encode(run))
"""


def run_under(nofile: int, call: str) -> RunResult:
    from estab.records import RUN_SCHEMA, decode

    script = UNDER_LIMIT.replace("import resource, sys, estab", "import resource, sys, estab, estab.records")
    done = subprocess.run(
        [sys.executable, "-c", script, str(nofile), call], capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    return decode(done.stdout, RunResult, RUN_SCHEMA)


@contextlib.contextmanager
def own_server(service: Service) -> Iterator[str]:
    from estab.load.serving import serving

    with serving(service) as (_fleet, address):
        yield f"{address[0]}:{address[1]}"


@contextlib.contextmanager
def waiting_in_the_queue(target: str) -> Iterator[None]:
    """One connection that waits for accept() within the block."""
    host, port = target.split(":")
    with socket.create_connection((host, int(port)), timeout=10), SockDiag() as diag:
        while not any(listener.depth for listener in diag.listeners(int(port))):
            continue  # its ACK is under way
        yield


def test_client_out_of_descriptors() -> None:
    with own_server(Service("echo")) as target:
        run = run_under(64, f"estab.hold({target!r}, connections=400, duration_s=0.2)")
    counts = failed(run)
    assert set(counts) == {("connect", "EMFILE")}
    assert run.funnel.connected == 400 - counts[("connect", "EMFILE")] > 20
    assert run.diagnosis is not None
    assert run.diagnosis.cause == "client_open_files"
    assert_counts_add_up(run)


def test_server_out_of_descriptors_is_no_accept_queue_overflow() -> None:
    run = run_under(64, "estab.hold(connections=100, duration_s=0.3, options=estab.LoadOptions(processes=4))")
    counts = failed(run)
    assert counts[("accept", "EMFILE")] > 0
    assert run.funnel.connected == 100
    held = [point.accepted for point in run.timeline if point.open == 100 and point.accepted]
    assert held, "no sample saw all 100 open"
    assert max(held) < 64
    assert run.diagnosis is not None
    assert run.diagnosis.cause == "server_open_files"


# --- the contract itself ---


def test_both_engines_share_the_block_layout() -> None:
    layout = _engine.layout()
    assert tuple(layout["slots"]) == block.SLOTS
    assert tuple(layout["phases"]) == PHASES
    assert layout["retransmits"] == block.RETRANSMITS_AT
    assert layout["failures"] == block.FAILURES_AT
    assert layout["orders"] == block.ORDERS_AT
    assert layout["http_status"] == block.HTTP_STATUS_AT
    assert layout["gaps"] == block.GAPS_AT
    assert layout["stalls"] == block.STALLS_AT
    assert layout["connect_ns"] == block.CONNECT_NS_AT
    assert layout["request_ns"] == block.REQUEST_NS_AT
    assert layout["size"] == block.SIZE


def test_state_per_connection_is_small() -> None:
    assert _engine.state_bytes()["client"] <= 128
    assert _engine.state_bytes()["server"] <= 128


def test_both_engines_have_the_same_functions() -> None:
    assert {"run_client", "run_server"} <= set(dir(pyengine)) & set(dir(_engine))


def test_payload_repeats_after_its_period() -> None:
    data = payload()
    assert len(data) == 8191 + 65536
    assert data[:100] == data[8191:8291]
    assert len(set(data[:8191])) == 256


@pytest.mark.parametrize("value", [0, 1, 2047, 2048, 2049, 4095, 4096, 10**6, 10**9, 3_600_000_000_000])
def test_histogram_buckets_are_hdrhistograms(value: int) -> None:
    from hdrh.histogram import HdrHistogram

    theirs = HdrHistogram(1, block.HDR_HIGHEST_NS, 3)
    assert theirs.counts_len == block.HDR_LENGTH
    index = hdr_index(value)
    assert index == theirs._counts_index_for(value)
    assert hdr_value(index) <= value
    assert hdr_index(hdr_value(index)) == index
