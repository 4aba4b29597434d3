"""Rules 20 to 25 against the kernel that runs here: prediction equals measurement.

Each test runs in a network namespace of its own. Where none can be had the tests fail and say why.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import socket
import struct
import time
from collections.abc import Callable

import pytest
from tests import namespaces as ns
from tests.kernel.rules.kernel_probes import (
    HERE,
    HZ,
    KERNEL,
    PORT,
    begin_connects,
    depth_and_limit,
    has_sysctl,
    listener,
)

from estab.kernel.rules import (
    descriptors,
    ephemeral_ports,
    time_wait,
)

pytestmark = pytest.mark.namespace

_IP_BIND_ADDRESS_NO_PORT, _IP_LOCAL_PORT_RANGE = 24, 51  # `include/uapi/linux/in.h`; not in Python 3.11

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
    assert [(port - low) % 2 for port in ports] == [0] * 5 + [1] * 5


def test_rule_21_per_socket_range_has_no_parity_and_loses_no_port() -> None:
    def narrowed(client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_IP, _IP_LOCAL_PORT_RANGE, struct.pack("=I", 40006 << 16 | 40002))

    def measure() -> tuple[list[int], int]:
        with listener(4096):
            return connects_until_refused(8, narrowed)

    if not _has_port_range_of_a_socket():
        assert not KERNEL.at_least(6, 3)
        return
    ports, before_refusal = ns.in_namespace(measure, sysctls={"net.ipv4.ip_local_port_range": "40000 40009"})
    predicted = ephemeral_ports.capacity(40002, 40006, per_socket=True)
    assert before_refusal in predicted.connections
    assert predicted.connections.exact
    assert sorted(ports) == list(range(40002, 40007))


def _has_port_range_of_a_socket() -> bool:
    with socket.socket() as client:
        try:
            client.setsockopt(socket.IPPROTO_IP, _IP_LOCAL_PORT_RANGE, 0)
        except OSError as error:
            assert error.errno == errno.ENOPROTOOPT
            return False
    return True


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


# -- rule 22 between two hosts, rules 23 to 25 -----------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_rule_22_between_two_hosts(mode: int) -> None:
    def measure() -> int:
        near, far = ns.Namespace(), ns.Namespace()
        ns.joined(near, "10.2.0.1/24", far, "10.2.0.2/24")
        with far.entered():
            server = listener(16, "10.2.0.2")
        with near.entered(), server:
            ns.sysctl("net.ipv4.ip_local_port_range", "40000 40000")
            ns.sysctl("net.ipv4.tcp_tw_reuse", mode)
            if has_sysctl("tcp_tw_reuse_delay"):
                ns.sysctl("net.ipv4.tcp_tw_reuse_delay", 1)
            client = socket.create_connection(("10.2.0.2", PORT))
            accepted, _ = server.accept()
            client.close()
            accepted.close()
            ns.until(lambda: ns.census().get("TIME_WAIT"), why="TIME_WAIT at the client")
            old = time.monotonic() + (time_wait.reuse_after_s(KERNEL, 1).high or 0) + 0.01
            ns.until(lambda: time.monotonic() > old)  # well past a delay of 1 ms, or past the second of older kernels
            with socket.socket() as again:
                return again.connect_ex(("10.2.0.2", PORT))

    worked = ns.in_namespace(measure) == 0
    assert worked is time_wait.reuses(mode, loopback=False)


def test_rule_23_each_port_is_good_for_one_short_connection_in_60_s() -> None:
    ports = 5

    def measure() -> tuple[int, int, list[float], float]:
        with listener(16) as server:
            start, worked = time.monotonic(), 0
            for _ in range(3 * ports):
                with socket.socket() as client:
                    if failure := client.connect_ex(HERE):
                        break
                    accepted, _ = server.accept()
                worked += 1
                accepted.close()
            ns.until(lambda: ns.census().get("TIME_WAIT") == worked, why="all in TIME_WAIT")
            return worked, failure, ns.time_wait_left_s(), time.monotonic() - start

    range_ = f"40000 {40000 + ports - 1}"
    sysctls = {"ip_local_port_range": range_, "tcp_fin_timeout": 1, "tcp_tw_reuse": 0}
    measured = ns.in_namespace(measure, sysctls={f"net.ipv4.{name}": value for name, value in sysctls.items()})
    worked, failure, left_s, took_s = measured
    assert worked in ephemeral_ports.capacity(40000, 40000 + ports - 1).connections
    assert failure == errno.EADDRNOTAVAIL
    lasts = time_wait.lasts(HZ, KERNEL)
    assert lasts.high is not None
    assert all(lasts.low - took_s - 0.01 <= left <= lasts.high for left in left_s)


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
    assert left == min(closes, 5)
    assert moved.get("TCPTimeWaitOverflow", 0) == closes - left


def test_rule_25_emfile_leaves_the_connection_queued() -> None:
    def measure() -> tuple[int, int, int, int]:
        with listener(5) as server, contextlib.ExitStack() as stack:
            _connecting = begin_connects(2)
            used = max(map(int, os.listdir("/proc/self/fd"))) + 1
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
    # There may be holes below `used`, where pytest closed something: those are free numbers too.
    assert opened >= (predicted.available or 0)
    assert errno.errorcode[failure] == predicted.errno
    assert depth == 2  # accept() takes the descriptor first: what it could not give one to stays in the queue
