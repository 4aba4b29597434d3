"""Rule 31: the accept queue of a UNIX socket, as predicted and against the kernel that runs here."""

from __future__ import annotations

import contextlib
import errno
import math
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import namespaces as ns

from estab.kernel.rules import RuleInputError, accept_queue, unix_queue
from estab.observe.sock_diag import SockDiag

NAME = "\0estab-test-rule-31"
ADDRESS = "unix:@estab-test-rule-31"


@pytest.mark.parametrize("limit", [0, 1, 8, 4096])
def test_one_more_than_the_limit_fits(limit: int) -> None:
    assert unix_queue.fits(limit) == limit + 1


def test_who_blocks_waits_and_who_does_not_gets_eagain() -> None:
    assert unix_queue.connect_to_full(blocking=False) == unix_queue.FullQueue(waits_s=0, errno="EAGAIN")
    assert unix_queue.connect_to_full(blocking=False, send_timeout_s=3).waits_s == 0
    assert unix_queue.connect_to_full(blocking=True).waits_s == math.inf
    assert unix_queue.connect_to_full(blocking=True, send_timeout_s=2).waits_s == 2


def test_what_can_not_be() -> None:
    with pytest.raises(RuleInputError):
        unix_queue.fits(-1)
    with pytest.raises(RuleInputError):
        unix_queue.connect_to_full(blocking=True, send_timeout_s=-1)


# -- the kernel that runs here -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def listening(backlog: int, kind: int = socket.SOCK_STREAM, name: str = NAME) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, kind) as server:
        server.bind(name)
        server.listen(backlog)
        yield server


def connect(stack: contextlib.ExitStack, kind: int = socket.SOCK_STREAM, name: str = NAME) -> int:
    """What connect() gives a socket that does not block, and is kept open."""
    client = stack.enter_context(socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK))
    return client.connect_ex(name)


def queue(address: str = ADDRESS) -> tuple[int, int]:
    with SockDiag() as diag:
        (listener,) = diag.unix_listeners(address)
    return listener.depth, listener.limit


@pytest.mark.namespace
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET], ids=["stream", "seqpacket"])
@pytest.mark.parametrize("extra", [-1, 0, 1, 3])
@pytest.mark.parametrize("backlog", [0, 1, 8])
def test_rule_31_fits(backlog: int, extra: int, kind: int) -> None:
    connects = unix_queue.fits(backlog) + extra

    def measure() -> tuple[list[int], tuple[int, int]]:
        with contextlib.ExitStack() as stack, listening(backlog, kind):
            return [connect(stack, kind) for _ in range(connects)], queue()

    came, (depth, limit) = ns.in_namespace(measure)
    refused = errno.errorcode.get(came[-1]) if extra > 0 else None
    assert came.count(0) == depth == min(connects, unix_queue.fits(backlog))
    assert set(came) <= {0, errno.EAGAIN}
    assert refused == (unix_queue.connect_to_full(blocking=False).errno if extra > 0 else None)
    assert limit == backlog


@pytest.mark.namespace
@pytest.mark.parametrize(("backlog", "somaxconn"), [(7, 8), (8, 8), (9, 8), (511, 4096)])
def test_rule_31_granted_as_for_tcp(backlog: int, somaxconn: int) -> None:
    def measure() -> int:
        with listening(backlog):
            return queue()[1]

    granted = ns.in_namespace(measure, sysctls={"net.core.somaxconn": somaxconn})
    assert granted == accept_queue.granted(backlog, somaxconn)


@pytest.mark.namespace
def test_rule_31_who_blocks_waits_as_long_as_it_may() -> None:
    """And then gets EAGAIN too; where a place is freed meanwhile it connects."""
    limit_s = 0.2

    def measure() -> tuple[int, float, bool]:
        with contextlib.ExitStack() as stack, listening(0) as server:
            assert connect(stack) == 0
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, int(limit_s * 1e6)))
            began = time.monotonic()
            got = client.connect_ex(NAME)
            took_s = time.monotonic() - began
            waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
            thread = threading.Thread(target=waiting.connect, args=[NAME])
            thread.start()
            server.accept()[0].close()
            thread.join(30)
            return got, took_s, not thread.is_alive()

    got, took_s, connected = ns.in_namespace(measure)
    predicted = unix_queue.connect_to_full(blocking=True, send_timeout_s=limit_s)
    assert errno.errorcode[got] == predicted.errno
    assert took_s >= predicted.waits_s * 0.9
    assert connected


@pytest.mark.namespace
def test_rule_31_what_its_client_closed_keeps_its_place() -> None:
    def measure() -> tuple[int, int]:
        with listening(1):
            for _ in range(2):
                with contextlib.ExitStack() as stack:
                    assert connect(stack) == 0
            with contextlib.ExitStack() as stack:
                return connect(stack), queue()[0]

    assert ns.in_namespace(measure) == (errno.EAGAIN, unix_queue.fits(1))


@pytest.mark.namespace
def test_rule_31_no_counter_tells(tmp_path: Path) -> None:
    path = str(tmp_path / "s")

    def measure() -> tuple[int, dict[str, int]]:
        with contextlib.ExitStack() as stack, listening(0, name=path):
            assert connect(stack, name=path) == 0
            before = ns.counters()
            return connect(stack, name=path), ns.deltas(before, ns.counters())

    got, moved = ns.in_namespace(measure)
    assert got == errno.EAGAIN
    assert moved == {}
