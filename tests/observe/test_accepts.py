"""What servers accept, reckoned from what the kernel shows of them, against what they did."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from estab.diagnose import accepts, members, owners
from estab.diagnose.accepts import Accepted, between, standstill
from estab.kernel.formats import proc_pid
from estab.observe.snapshot import take
from estab.observe.watch import EndsSample, Observed, Watch
from estab.records import Funnel, HostFacts, RunResult, TimelinePoint

TARGET = ("127.0.0.1", 8001)
# Listens, and accepts as many as each line of its standard input says; then it prints a line.
SERVER = """
import socket, sys
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen(int(sys.argv[2]))
print(flush=True)
held = []
for line in sys.stdin:
    held += [server.accept()[0] for _ in range(int(line))]
    print(flush=True)
"""


class Server:
    """A foreign server that accepts when it is told to."""

    def __init__(self, backlog: int = 16, port: int = TARGET[1]) -> None:
        command = [sys.executable, "-c", SERVER, str(port), str(backlog)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def accept(self, count: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        self._answer()

    def _answer(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "\n"

    def close(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process.kill()
        self.process.wait()


class Load:
    """Connections in a namespace, sampled between: the run that they make."""

    def __init__(self) -> None:
        self._watch = Watch(*TARGET)
        self._began = time.monotonic()
        self.points: list[TimelinePoint] = []
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> Load:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()
        self._watch.close()

    def connect(self, count: int, port: int = TARGET[1]) -> None:
        for _ in range(count):
            self.stack.enter_context(socket.create_connection((TARGET[0], port)))

    def try_to_connect(self, count: int) -> None:
        """Where no room may be left."""
        for _ in range(count):
            late = self.stack.enter_context(socket.socket())
            late.setblocking(False)
            late.connect_ex(TARGET)

    def sample(self) -> EndsSample:
        seen = self._watch.sample()
        zeros = dict.fromkeys(("attempted", "connected", "first_byte", "completed", "failed", "open", "requests"), 0)
        self.points.append(TimelinePoint(t_s=time.monotonic() - self._began, **zeros).with_server(seen))
        return seen

    def until(self, seen: Callable[[EndsSample], object]) -> None:
        """Samples until one shows it."""
        deadline = time.monotonic() + 10
        while not seen(self.sample()):
            assert time.monotonic() < deadline, self.points[-1]

    def run(self) -> RunResult:
        self._watch.settled()
        observed: Observed = self._watch.finish()
        return RunResult(
            command="hold", config={}, host=HostFacts(), started_at_s=0.0, elapsed_s=1.0, engine="c", funnel=Funnel(),
            timeline=self.points, client=observed.client, server=observed.server,
        )  # fmt: skip


@contextlib.contextmanager
def started(*servers: Server) -> Iterator[Load]:
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.callback(server.close)
        yield stack.enter_context(Load())


@pytest.mark.namespace
def test_five_are_accepted_and_then_none_any_more() -> None:
    server = Server(backlog=16)
    with started(server) as load:
        load.connect(5)
        server.accept(5)
        load.connect(17)
        load.until(lambda seen: seen.queue_depth == 17)
        load.try_to_connect(8)
        load.until(lambda seen: (seen.listen_overflows or 0) >= 8)
        run = load.run()
    assert accepts.alone(run)
    whole = accepts.over(run)
    assert whole is not None
    assert (whole.least, whole.most) == (5, 5)
    still = standstill(accepts.of_run(run), alone=True)
    assert still is not None
    assert (still.waiting, still.certain) == (17, True)
    assert run.server.listener is not None
    assert run.server.listener.inode
    assert accepts.older(run.server) == (0, 0)


@pytest.mark.namespace
def test_each_accept_is_seen_though_the_queue_stays_full() -> None:
    server = Server(backlog=3)
    with started(server) as load:
        load.connect(4)
        load.until(lambda seen: seen.queue_depth == 4)
        for _ in range(5):
            server.accept(1)
            load.connect(1)
            load.until(lambda seen: seen.queue_depth == 4)
        run = load.run()
    whole = accepts.over(run)
    assert whole is not None
    assert (whole.least, whole.most) == (5, 5)
    still = standstill(accepts.of_run(run), alone=True)
    assert still is None or still.span_s < whole.span_s


@pytest.mark.namespace
def test_what_was_there_before_is_not_this_runs() -> None:
    server = Server(backlog=16)
    with contextlib.ExitStack() as older:
        for _ in range(13):
            older.enter_context(socket.create_connection(TARGET))
        server.accept(10)
        with started(server) as load:
            load.connect(4)
            load.until(lambda seen: seen.queue_depth == 7)
            run = load.run()
    assert accepts.older(run.server) == (10, 3)
    whole = accepts.over(run)
    assert whole is not None
    assert (whole.least, whole.most) == (0, 0)


@pytest.mark.namespace
def test_a_neighbour_raises_the_bound_and_not_the_floor() -> None:
    server, neighbour = Server(backlog=16), Server(port=TARGET[1] + 1)
    with started(server, neighbour) as load:
        load.connect(3)
        load.until(lambda seen: seen.queue_depth == 3)
        load.connect(6, port=TARGET[1] + 1)
        server.accept(2)
        load.until(lambda seen: seen.queue_depth == 1)
        load.until(lambda seen: seen.passive_opens == 9)
        run = load.run()
    assert not accepts.alone(run)
    whole = accepts.over(run)
    assert whole is not None
    assert (whole.least, whole.most) == (2, 8)


@pytest.mark.namespace
def test_one_of_a_group_is_stopped() -> None:
    servers = [Server(backlog=64) for _ in range(4)]
    with started(*servers) as load:
        load.connect(60)
        load.until(lambda seen: seen.queue_depth == 60)
        depths = load.points[-1].queue_depths
        assert depths is not None
        owner = {at.inode: [owner.pid for owner in at.owners or []] for at in take(port=TARGET[1]).listeners or []}
        stopped = servers[0].process.pid
        inode = next(number for number, pids in owner.items() if pids == [stopped])
        for server in servers[1:]:
            mine = next(number for number, pids in owner.items() if pids == [server.process.pid])
            server.accept(depths[str(mine)])
        os.kill(stopped, signal.SIGSTOP)
        load.until(lambda seen: any(set(owner.states) == {"T"} for owner in seen.owners or ()))
        load.until(lambda seen: seen.queue_depth == depths[str(inode)])
        run = load.run()
    assert {at.inode for at in run.server.listeners} == set(owner)
    by_inode = {at.inode: at for at in run.server.listeners}
    assert by_inode[inode].last_depth == depths[str(inode)]
    assert members.unmoved_s(run, inode or 0) == pytest.approx(run.timeline[-1].t_s, abs=run.timeline[-1].t_s / 2)
    assert all(members.unmoved_s(run, int(other)) == 0 for other in depths if other != str(inode))
    assert [one.pid for one in owners.of_run(run) if one.stopped] == [stopped]
    assert next(one for one in owners.along(run) if one.pid == stopped).stopped >= 1


@pytest.mark.namespace
def test_two_snapshots_tell_it_too() -> None:
    server = Server(backlog=16)
    with started(server) as load:
        load.connect(5)
        first = take()
        load.connect(4)
        server.accept(7)
        second = take()
        seen = accepts.of_snapshots([first, second], TARGET[1])
    assert accepts.alone_at([first, second], TARGET[1])
    accepted = between(seen, alone=True)
    assert accepted == Accepted(seen[1].at_s - seen[0].at_s, 7, 7)
    assert [moment.held for moment in seen] == [0, 7]


@pytest.mark.namespace
def test_a_thread_that_runs_all_the_time_and_one_that_waits() -> None:
    burn = "import socket, sys; s = socket.create_server(('127.0.0.1', 8001)); print(flush=True)\nwhile True: pass"
    core = min(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        first = subprocess.Popen(["taskset", "-c", str(core), sys.executable, "-c", burn], stdout=subprocess.PIPE)
        stack.callback(lambda: (first.kill(), first.wait(), first.stdout.close() if first.stdout else None))
        assert first.stdout is not None
        first.stdout.readline()
        beside = [
            subprocess.Popen(["taskset", "-c", str(core), sys.executable, "-c", "while True: pass"]) for _ in range(2)
        ]
        for other in beside:
            stack.callback(lambda other=other: (other.kill(), other.wait()))
        before = take(port=TARGET[1])
        waited = _waited_ns(first.pid)
        deadline = time.monotonic() + 20
        while _waited_ns(first.pid) < waited + 300_000_000:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        (owner,) = owners.of_snapshots(before, take(port=TARGET[1]))
    assert owner.pid == first.pid
    assert owner.busiest_ran is not None
    assert owner.busiest_waited is not None
    assert 0 < owner.busiest_ran < 0.8
    assert owner.busiest_waited > owner.busiest_ran / 2
    assert owner.states == {"R": 1}


def _waited_ns(pid: int) -> int:
    with open(f"/proc/{pid}/task/{pid}/schedstat", "rb") as file:
        return proc_pid.parse_schedstat(file.read()).waited_ns


# Accepts at a pace of its own, and says how many it has accepted by each moment.
PACED = """
import select, socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=int(sys.argv[2]))
every_s, at_once = float(sys.argv[3]), int(sys.argv[4])
print(flush=True)
held = []
due = time.monotonic()
while True:
    due += every_s
    time.sleep(max(0, due - time.monotonic()))
    for _ in range(at_once):
        if select.select([server], [], [], 0)[0]:
            held.append(server.accept()[0])
    print(len(held), flush=True)
"""


@pytest.mark.namespace
@pytest.mark.parametrize(("backlog", "every_s", "at_once"), [(16, 0.1, 1), (4096, 0.3, 4096)])
def test_a_server_of_its_own_pace(backlog: int, every_s: float, at_once: int) -> None:
    """Ten a second, and all that wait every 300 ms: what the server says it accepted lies within the bounds."""
    command = [sys.executable, "-c", PACED, str(TARGET[1]), str(backlog), str(every_s), str(at_once)]
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(server.kill)
        assert server.stdout is not None
        assert server.stdout.readline() == "\n"
        load = stack.enter_context(Load())
        accepted = 0
        while accepted < 12:
            load.try_to_connect(5)
            load.sample()
            accepted = int(server.stdout.readline())
        server.send_signal(signal.SIGSTOP)
        load.until(lambda seen: any(set(owner.states) == {"T"} for owner in seen.owners or ()))
        run = load.run()
        server.send_signal(signal.SIGCONT)
        server.kill()
        said = [int(line) for line in server.stdout.read().split()]
    # It may have accepted, and not said so before it was stopped.
    whole = accepts.over(run)
    assert whole is not None
    assert whole.least == whole.most
    assert accepted <= whole.least <= max([accepted, *said]) + at_once
