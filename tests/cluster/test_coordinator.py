"""A run followed to its end, with made-up hosts: each event comes when the test says so, time is the test's."""

from __future__ import annotations

import itertools
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from estab.cluster import coordinator
from estab.cluster.coordinator import ATTEND, GENERATE, Coordinator, Outcome, Task
from estab.cluster.members import Member
from estab.cluster.messages import Command, Order, TaskEvent
from estab.cluster.session import TaskEnded, WorkerGone
from estab.errors import MachineError, UsageError
from estab.load.conductor import Stop
from estab.records import TimelinePoint
from estab.records.cluster import Clock

POINT = TimelinePoint(t_s=1.0, attempted=9, connected=7, first_byte=0, completed=0, failed=0, open=7, requests=0)


@dataclass
class EndedFuture:
    """A future that is over."""

    found: Any
    status: str = "finished"

    def result(self, timeout: float) -> bytes:
        if isinstance(self.found, Exception):
            raise self.found
        return bytes(self.found)


class Alive(queue.SimpleQueue[Any]):
    """Events, between which two hosts go on saying that they live."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        for who in ("a", "s") if self.empty() else ():
            self.put(TaskEvent(run="r", who=who, what="here"))
        return super().get(block, timeout)


@dataclass
class Hosts:
    """In place of a session: `answers` says what each host does at a command; the commands that were sent are kept."""

    answers: Callable[[Hosts, str, str], None]
    run: str = "r"
    address: str = "tcp://s:8786"
    is_open: bool = True
    events: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)
    said: list[Command] = field(default_factory=list)
    released: list[Any] = field(default_factory=list)

    def listen(self) -> None:
        self.said.clear()

    def submit(self, name: str, order: Order) -> str:
        self.answers(self, order.who, name)
        return order.who

    def send(self, command: Command, members: Sequence[Member]) -> None:
        self.said.append(command)
        for one in members:
            self.answers(self, one.address, command.what)

    def release(self, futures: Sequence[Any]) -> None:
        self.released += futures

    def report(self, who: str, what: Any, **more: Any) -> None:
        self.events.put(TaskEvent(run="r", who=who, what=what, **more))

    def ended(self, who: str, found: Any) -> None:
        self.events.put(TaskEnded(who, EndedFuture(found)))  # type: ignore[arg-type]


def well(hosts: Hosts, who: str, command: str) -> None:
    """What a host does when all goes well."""
    match command:
        case "generate" | "attend":
            hosts.report(who, "ready")
        case "start":
            hosts.report(who, "live", point=POINT)
            hosts.report(who, "settled")
        case "look":
            hosts.report(who, "looked")
        case "hold" | "finish" | "stop":
            hosts.ended(who, b"done")


@pytest.fixture
def stop() -> Iterator[Stop]:
    with Stop() as one:
        yield one


def followed(hosts: Hosts, stop: Stop, *, server: bool = True, offset_ms: float = 0.0) -> Outcome:
    """The run followed to its end; each look at the time finds 50 ms passed."""
    clock = Clock(offset_ms=0.0, uncertainty_ms=1.0, samples=8)
    clocks = {"a": clock, "b": clock.replace(offset_ms=offset_ms), "s": clock}
    names = ("a", "b", "s") if server else ("a", "b")
    tasks = [
        Task(
            ATTEND if who == "s" else GENERATE,
            Member(who, who, who),
            Order(run="r", who=who, target="t:1"),
            clocks[who],
        )
        for who in names
    ]
    ticks = itertools.count()
    begun = Coordinator.begin(hosts, tasks, stop, lambda _state: None, now=lambda: next(ticks) * 0.05)  # type: ignore[arg-type]
    return begun.to_the_end()


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator, "LOOK_S", 0.001)


def test_the_words_come_in_their_order(stop: Stop) -> None:
    hosts = Hosts(well)
    state = followed(hosts, stop)
    assert [command.what for command in hosts.said] == ["start", "look", "hold", "finish"]
    assert [part.result for part in state.parts] == [b"done", b"done"]
    assert state.server is not None
    assert state.server.result == b"done"
    assert sorted(hosts.released) == ["a", "b", "s"]


def test_without_the_servers_worker_nobody_looks(stop: Stop) -> None:
    hosts = Hosts(well)
    assert followed(hosts, stop, server=False).server is None
    assert [command.what for command in hosts.said] == ["start", "hold"]


def test_a_clock_that_is_off_is_told_its_own_time(stop: Stop) -> None:
    hosts = Hosts(well)
    before = time.time()
    agreed = followed(hosts, stop, offset_ms=5_000.0).agreed_s
    assert agreed is not None
    assert agreed >= before + coordinator.LEAD_S
    assert hosts.said[0].at_s == {"a": agreed, "b": agreed + 5.0}


def test_a_host_that_cannot_ends_it_before_the_start(stop: Stop) -> None:
    def answers(hosts: Hosts, who: str, command: str) -> None:
        if (who, command) == ("b", "generate"):
            hosts.ended(who, UsageError("no such thing"))
        else:
            well(hosts, who, command)

    hosts = Hosts(answers)
    with pytest.raises(UsageError, match=r"^worker b: no such thing$"):
        followed(hosts, stop)
    assert [command.what for command in hosts.said] == ["stop"]


def test_a_host_that_goes_before_the_start_ends_it(stop: Stop) -> None:
    def answers(hosts: Hosts, who: str, command: str) -> None:
        if (who, command) == ("b", "generate"):
            hosts.events.put(WorkerGone(who))
        else:
            well(hosts, who, command)

    with pytest.raises(MachineError, match="worker b was lost before the start: its worker ended"):
        followed(Hosts(answers), stop)


def test_a_worker_that_does_not_begin_is_named(stop: Stop) -> None:
    def answers(hosts: Hosts, who: str, command: str) -> None:
        if who != "b":
            well(hosts, who, command)

    hosts = Hosts(answers, events=Alive())
    with pytest.raises(MachineError, match=r"worker b \(b\) did not begin within \d+ s; is it busy"):
        followed(hosts, stop)


def test_a_host_that_falls_silent_is_lost_with_what_it_had_done(stop: Stop) -> None:
    def answers(hosts: Hosts, who: str, command: str) -> None:
        if who == "b" and command == "start":
            hosts.report(who, "live", point=POINT)
        elif who != "b" or command == "generate":
            well(hosts, who, command)

    state = followed(Hosts(answers, events=Alive()), stop)
    a, b = state.parts
    assert a.result == b"done"
    assert b.lost == "nothing was heard of it for 20 s"
    assert b.point == POINT


def test_a_stop_reaches_all_and_what_never_began_is_released(stop: Stop) -> None:
    def answers(hosts: Hosts, who: str, command: str) -> None:
        if who == "b":
            return  # its worker is busy with other tasks
        if command == "generate":
            stop.set()
        well(hosts, who, command)

    hosts = Hosts(answers)
    state = followed(hosts, stop)
    assert state.interrupted
    assert state.agreed_s is None
    assert hosts.said[0].what == "stop"
    assert "b" in hosts.released
    assert state.parts[0].result == b"done"
    assert state.parts[1].lost == "it did not stop within 15 s"


def test_a_lost_scheduler_ends_it_at_once(stop: Stop) -> None:
    def answers(hosts: Hosts, who: str, command: str) -> None:
        well(hosts, who, command) if command != "hold" else setattr(hosts, "is_open", False)

    state = followed(Hosts(answers), stop)
    assert state.scheduler_lost is not None
    assert "was lost" in state.scheduler_lost
    assert all(part.lost and part.point == POINT for part in state.parts)
    assert state.server is not None
    assert state.server.lost is not None
