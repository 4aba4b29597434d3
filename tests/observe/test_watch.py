from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from estab.errors import UsageError
from estab.observe import watch
from estab.observe.local import is_local
from estab.observe.sock_diag import SockDiag
from estab.observe.watch import Watch
from estab.records import Snapshot, decode, encode

TARGET = ("127.0.0.1", 8001)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@contextlib.contextmanager
def watching(host: str = TARGET[0], port: int = TARGET[1], **options: object) -> Iterator[Watch]:
    started = Watch(host, port, **options)  # type: ignore[arg-type]
    try:
        started.start()
        yield started
    finally:
        started.close()


def connect(count: int, target: tuple[str, int] = TARGET) -> contextlib.ExitStack:
    stack = contextlib.ExitStack()
    for _ in range(count):
        stack.enter_context(socket.create_connection(target))
    return stack


def overflow(target: tuple[str, int] = TARGET) -> None:
    with socket.socket() as late:
        late.settimeout(0.05)
        with pytest.raises(TimeoutError):
            late.connect(target)


@pytest.mark.namespace
def test_an_overflow_from_both_ends() -> None:
    with socket.create_server(TARGET, backlog=3) as server, watching(client_pids=[os.getpid()]) as seen:
        assert seen.sample().queue_depth == 0
        with connect(4):
            overflow()
            sample = seen.sample()
            assert (sample.queue_depth, sample.queue_limit) == (4, 3)
            assert (sample.listen_overflows, sample.listen_drops, sample.listener_drops) == (1, 1, 1)
            assert sample.time_wait == 0
            assert sample.client_fds == sample.server_fds == len(os.listdir("/proc/self/fd")) - 1
            server.accept()[0].close()
            assert seen.sample().queue_depth == 3
            seen.settled()
        observed = seen.finish()
    listener = observed.server.listener
    assert listener is not None
    assert (listener.limit, listener.worst_depth, listener.last_depth) == (3, 4, 3)
    assert (listener.full_samples, listener.samples, listener.rose_only, listener.drops) == (1, 4, False, 1)
    assert (listener.queued_at_end, listener.accepted_at_end) == (3, 0)
    assert observed.server.observed
    assert not observed.server.embedded
    assert observed.server.deltas is not None
    assert observed.server.deltas["TcpExt.ListenOverflows"] == 1
    assert observed.server.deltas["TcpExt.TCPReqQFullDrop"] == 0  # what did not move stands there too
    assert observed.server.rose("TcpExt.TCPReqQFullDrop") == 0
    assert observed.client.deltas == observed.server.deltas
    use = observed.client.port_use
    assert use is not None
    assert (use.used, use.capacity, use.sources) == (4, 28232, 1)
    (process,) = observed.server.processes or []
    assert (process.pid, process.fds) == (os.getpid(), seen.worst_fds[os.getpid()])
    after = observed.server.after
    assert after is not None
    assert [(listener.worst_depth, listener.port) for listener in after.listeners or []] == [(4, 8001)]
    # tcp_mem and tcp_max_orphans are the initial namespace's alone; conntrack, newer sysctls, cgroup v2 may be missing.
    assert {gap.field.split(".")[0] for gap in after.unobserved} <= {"sysctls", "cgroup", "conntrack", "security"}
    assert decode(encode(after), Snapshot, "estab.snapshot/1") == after
    assert len(encode(after)) < 16_000


@pytest.mark.namespace
def test_a_local_target_with_no_listener() -> None:
    with watching() as seen:
        assert seen.sample().queue_depth is None
        with socket.socket() as client, pytest.raises(ConnectionRefusedError):
            client.connect(TARGET)
        server = seen.finish().server
    assert (server.observed, server.listener, server.processes) == (True, None, None)
    assert server.after is not None
    assert server.after.listeners == []


@pytest.mark.namespace
def test_a_remote_target() -> None:
    with socket.create_server(("0.0.0.0", 8001)), watching("10.1.2.3") as seen:
        sample = seen.sample()
        assert (sample.queue_depth, sample.listen_overflows, sample.server_fds, sample.time_wait) == (
            None,
            None,
            None,
            0,
        )
        seen.settled()
        observed = seen.finish()
    assert not observed.server.observed
    assert observed.server.why is not None
    assert observed.server.why.startswith("10.1.2.3 is not an address of this host")
    assert observed.server.before is observed.server.listener is None
    assert observed.client.port_use is not None
    assert observed.client.port_use.used == 0
    assert observed.client.before is not None
    assert {gap.field for gap in observed.client.before.unobserved} >= {"listeners", "server_sockets"}


@pytest.mark.namespace
def test_listeners_that_appear_and_close_during_the_run() -> None:
    clock = Clock()
    with watching(clock=clock) as seen:
        assert seen.sample().server_fds is None
        with socket.create_server(TARGET, backlog=2), connect(3):
            overflow()
            assert seen.sample().listener_drops == 1
            clock.now += 2
            seen.sample()
            assert seen.sample().server_fds is not None
            assert seen.server_sockets is not None
            assert seen.server_sockets.queued == 3
        gone = seen.sample()
        assert (gone.queue_depth, gone.listener_drops) == (None, 1)
        with socket.create_server(TARGET, backlog=7):
            assert seen.sample().queue_limit == 7
            observed = seen.finish()
    listener = observed.server.listener
    assert listener is not None
    assert (listener.listeners, listener.limit, listener.worst_depth, listener.drops) == (1, 2, 3, 1)
    assert [process.pid for process in observed.server.processes or []] == [os.getpid()]


@pytest.mark.namespace
def test_two_hundred_listeners_on_one_port() -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_server(TARGET, backlog=40, reuse_port=True))
        with watching() as seen, connect(40):
            sample = seen.sample()
            assert (sample.queue_depth, sample.queue_limit) == (40, 8000)
            observed = seen.finish()
    listener = observed.server.listener
    assert listener is not None
    assert listener.listeners == 200
    assert 1 <= listener.worst_depth < 40


SERVER = """
import socket, sys
server = socket.create_server(("127.0.0.1", 8001), backlog=5)
print("ready", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def server_process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.namespace
@pytest.mark.parametrize("embedded", [True, False])
def test_a_server_process_that_dies(embedded: bool) -> None:
    with server_process() as process, watching(server_pids=[process.pid] if embedded else None) as seen:
        before = seen.sample()
        assert before.server_fds == len(os.listdir(f"/proc/{process.pid}/fd"))
        process.kill()
        process.wait()
        after = seen.sample()
        assert (after.queue_depth, after.server_fds) == (None, None)
        observed = seen.finish()
    assert observed.server.embedded is embedded
    (known,) = observed.server.processes or []
    assert (known.pid, known.fds) == (process.pid, before.server_fds)
    assert observed.server.before is not None
    (listener,) = observed.server.before.listeners or []
    assert [owner.pid for owner in listener.owners or []] == [process.pid]


@pytest.mark.namespace
def test_ports_running_out() -> None:
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40009")
    Path("/proc/sys/net/ipv4/ip_local_reserved_ports").write_text("40003")
    with socket.create_server(TARGET) as server, watching() as seen:
        with connect(9) as held:
            for _ in range(9):
                server.accept()[0].close()
            with pytest.raises(OSError, match="Cannot assign requested address"):
                held.enter_context(socket.create_connection(TARGET))
            seen.settled()
        use = seen.finish().client.port_use
    assert use is not None
    assert (use.used, use.capacity, use.worst_source_used, use.bound) == (9, 9, 9, 0)


@pytest.mark.namespace
@pytest.mark.parametrize(
    ("host", "listen"), [("::1", "::"), ("127.0.0.1", "::"), ("0.0.0.0", "127.0.0.1"), ("::ffff:127.0.0.1", "0.0.0.0")]
)
def test_address_families(host: str, listen: str) -> None:
    family = socket.AF_INET6 if ":" in listen else socket.AF_INET
    with (
        socket.create_server((listen, 8001), family=family, backlog=4, dualstack_ipv6=family == socket.AF_INET6),
        watching(host) as seen,
        connect(2, (host, 8001)),
    ):
        assert seen.sample().queue_depth == 2
        use = seen.finish().client.port_use
        assert use is not None
        assert use.used == 2


@pytest.mark.namespace
def test_close_looks_keep_to_their_share() -> None:
    clock = Clock()
    looks: list[float] = []

    class Slow(Watch):
        def _look_at_ports(self) -> None:
            looks.append(clock.now)
            clock.now += 0.1

    slow = Slow(*TARGET, clock=clock, cost=clock)
    slow.start()
    for _ in range(1400):
        clock.now = round(clock.now + 0.1, 3)
        slow.sample()
    slow.close()
    assert len(looks) == 2
    assert (
        min(after - before for before, after in pairwise(looks)) >= (0.1 - 0.02) / 0.0015 - 0.3
    )  # counted from the start


@pytest.mark.namespace
def test_states_over_time_of_both_ends() -> None:
    clock = Clock()
    with socket.create_server(TARGET, backlog=4), watching(clock=clock) as seen, connect(3):
        clock.now += 1
        first, second = seen.sample(), seen.sample()
    assert first.client_states == {"ESTAB": 3}
    assert first.server_states == {"ESTAB": 3}
    assert second.client_states is None  # not every sample can afford them
    assert second.server_states is None


@pytest.mark.namespace
def test_a_host_that_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise watch.EstabError("sock_diag is not permitted here")

    def missing(*_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "/proc/net")

    with socket.create_server(TARGET):
        monkeypatch.setattr(SockDiag, "_open", staticmethod(refuse))
        monkeypatch.setattr("estab.observe.counters.os.open", missing)
        with watching(client_pids=[2**22 + 1]) as seen:
            assert set(watch.EndsSample.__struct_fields__) == {
                name for name in watch.EndsSample.__struct_fields__ if getattr(seen.sample(), name) is None
            }
            seen.settled()
            observed = seen.finish()
    assert not observed.server.observed
    assert observed.server.why == "sock_diag is not permitted here"
    assert observed.client.deltas is None
    assert observed.client.after is not None
    gaps = {gap.field for gap in observed.client.after.unobserved}
    assert gaps >= {"listeners", "states", "server_sockets", "port_use", "counters", "sockstat"}


@pytest.mark.parametrize("host", ["localhost", "", "10.1.2", "::g"])
def test_hosts_that_are_no_addresses(host: str) -> None:
    with pytest.raises(UsageError, match="cannot watch"):
        Watch(host, 80)


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("0.0.0.0", True), ("10.1.2.3", False), ("2001:db8::1", False)],
)
def test_is_local(host: str, local: bool) -> None:
    assert is_local(host) is local


def test_a_watch_that_was_not_started() -> None:
    unstarted = Watch(*TARGET)
    assert unstarted.sample() == watch.EndsSample()
    unstarted.settled()
    unstarted.close()
    unstarted.close()
