"""A run followed, with hosts that are made up: each event comes when the test says so, and time is the test's too."""

from __future__ import annotations

import itertools
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from estab.cluster import follow
from estab.cluster.follow import ATTEND, GENERATE, Follow, Followed, Task
from estab.cluster.members import Member
from estab.cluster.messages import Order, Told, Word
from estab.cluster.session import Ended, Gone
from estab.errors import MachineError, UsageError
from estab.load.conductor import Stop
from estab.records import TimelinePoint
from estab.records.cluster import Clock

POINT = TimelinePoint(t_s=1.0, attempted=9, connected=7, first_byte=0, completed=0, failed=0, open=7, requests=0)


@dataclass
class Outcome:
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
            self.put(Told(run="r", who=who, what="here"))
        return super().get(block, timeout)


@dataclass
class Hosts:
    """In place of a session: `answers` says what each host does at a word; the words that were said are kept."""

    answers: Callable[[Hosts, str, str], None]
    run: str = "r"
    address: str = "tcp://s:8786"
    is_open: bool = True
    events: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)
    said: list[Word] = field(default_factory=list)
    released: list[Any] = field(default_factory=list)

    def listen(self) -> None:
        self.said.clear()

    def submit(self, name: str, order: Order) -> str:
        self.answers(self, order.who, name)
        return order.who

    def tell(self, word: Word, members: Sequence[Member]) -> None:
        self.said.append(word)
        for one in members:
            self.answers(self, one.address, word.what)

    def release(self, futures: Sequence[Any]) -> None:
        self.released += futures

    def told(self, who: str, what: Any, **more: Any) -> None:
        self.events.put(Told(run="r", who=who, what=what, **more))

    def ended(self, who: str, found: Any) -> None:
        self.events.put(Ended(who, Outcome(found)))  # type: ignore[arg-type]


def well(hosts: Hosts, who: str, word: str) -> None:
    """What a host does when all goes well."""
    match word:
        case "generate" | "attend":
            hosts.told(who, "ready")
        case "start":
            hosts.told(who, "live", point=POINT)
            hosts.told(who, "settled")
        case "look":
            hosts.told(who, "looked")
        case "hold" | "finish" | "stop":
            hosts.ended(who, b"done")


@pytest.fixture
def stop() -> Iterator[Stop]:
    with Stop() as one:
        yield one


def followed(hosts: Hosts, stop: Stop, *, server: bool = True, offset_ms: float = 0.0) -> Followed:
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
    begun = Follow.begin(hosts, tasks, stop, lambda _state: None, now=lambda: next(ticks) * 0.05)  # type: ignore[arg-type]
    return begun.to_the_end()


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "LOOK_S", 0.001)


def test_the_words_come_in_their_order(stop: Stop) -> None:
    hosts = Hosts(well)
    state = followed(hosts, stop)
    assert [word.what for word in hosts.said] == ["start", "look", "hold", "finish"]
    assert [one.result for one in state.parts] == [b"done", b"done"]
    assert state.server is not None
    assert state.server.result == b"done"
    assert sorted(hosts.released) == ["a", "b", "s"]


def test_without_the_servers_worker_nobody_looks(stop: Stop) -> None:
    hosts = Hosts(well)
    assert followed(hosts, stop, server=False).server is None
    assert [word.what for word in hosts.said] == ["start", "hold"]


def test_a_clock_that_is_off_is_told_its_own_time(stop: Stop) -> None:
    hosts = Hosts(well)
    before = time.time()
    agreed = followed(hosts, stop, offset_ms=5_000.0).agreed_s
    assert agreed is not None
    assert agreed >= before + follow.LEAD_S
    assert hosts.said[0].at_s == {"a": agreed, "b": agreed + 5.0}


def test_a_host_that_cannot_ends_it_before_the_start(stop: Stop) -> None:
    def answers(hosts: Hosts, who: str, word: str) -> None:
        if (who, word) == ("b", "generate"):
            hosts.ended(who, UsageError("no such thing"))
        else:
            well(hosts, who, word)

    hosts = Hosts(answers)
    with pytest.raises(UsageError, match=r"^worker b: no such thing$"):
        followed(hosts, stop)
    assert [word.what for word in hosts.said] == ["stop"]


def test_a_host_that_goes_before_the_start_ends_it(stop: Stop) -> None:
    def answers(hosts: Hosts, who: str, word: str) -> None:
        if (who, word) == ("b", "generate"):
            hosts.events.put(Gone(who))
        else:
            well(hosts, who, word)

    with pytest.raises(MachineError, match="worker b was lost before the start: its worker ended"):
        followed(Hosts(answers), stop)


def test_a_worker_that_does_not_begin_is_named(stop: Stop) -> None:
    def answers(hosts: Hosts, who: str, word: str) -> None:
        if who != "b":
            well(hosts, who, word)

    hosts = Hosts(answers, events=Alive())
    with pytest.raises(MachineError, match=r"worker b \(b\) did not begin within \d+ s; is it busy"):
        followed(hosts, stop)


def test_a_host_that_falls_silent_is_lost_with_what_it_had_done(stop: Stop) -> None:
    def answers(hosts: Hosts, who: str, word: str) -> None:
        if who == "b" and word == "start":
            hosts.told(who, "live", point=POINT)
        elif who != "b" or word == "generate":
            well(hosts, who, word)

    state = followed(Hosts(answers, events=Alive()), stop)
    a, b = state.parts
    assert a.result == b"done"
    assert b.lost == "nothing was heard of it for 20 s"
    assert b.point == POINT


def test_a_stop_reaches_all_and_what_never_began_is_released(stop: Stop) -> None:
    def answers(hosts: Hosts, who: str, word: str) -> None:
        if who == "b":
            return  # its worker is busy with other tasks
        if word == "generate":
            stop.set()
        well(hosts, who, word)

    hosts = Hosts(answers)
    state = followed(hosts, stop)
    assert state.interrupted
    assert state.agreed_s is None
    assert hosts.said[0].what == "stop"
    assert "b" in hosts.released
    assert state.parts[0].result == b"done"
    assert state.parts[1].lost == "it did not stop within 15 s"


def test_a_lost_scheduler_ends_it_at_once(stop: Stop) -> None:
    def answers(hosts: Hosts, who: str, word: str) -> None:
        well(hosts, who, word) if word != "hold" else setattr(hosts, "is_open", False)

    state = followed(Hosts(answers), stop)
    assert state.scheduler_lost is not None
    assert "was lost" in state.scheduler_lost
    assert all(one.lost and one.point == POINT for one in state.parts)
    assert state.server is not None
    assert state.server.lost is not None
