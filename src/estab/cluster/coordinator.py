"""A run on many hosts, followed to its end: events come in, commands go out. Nothing here waits for one host alone.

```
 all ready -> "start" at an agreed moment -> all settled -> "look" (the server's) -> "hold" -> all ended -> "finish"
```
Before the start, a host that can't take part ends it all, and nothing was sent. After it, a host that is lost is noted
with what it had done, and the others go on.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from estab.cluster import clock as clocks
from estab.cluster.members import Member
from estab.cluster.messages import Attended, Command, Generated, Order, TaskEvent
from estab.cluster.session import Event, Session, TaskEnded, WorkerGone
from estab.errors import EstabError, MachineError
from estab.load.conductor import Stop
from estab.records import TimelinePoint
from estab.records.cluster import Clock

if TYPE_CHECKING:
    from distributed import Future

GENERATE, ATTEND = "generate", "attend"  # modules of this package, and the functions in them
LOOK_S = 0.1
READY_WITHIN_S = 60.0
SILENT_FOR_S = 20.0
STOP_WITHIN_S = 15.0
NOT_STOPPED = f"it did not stop within {STOP_WITHIN_S:g} s"
FETCH_WITHIN_S = 60.0
LEAD_S = 0.25  # at least so long before the start the command to start is sent


@dataclass(frozen=True, eq=False)
class Task:
    """What a member is to run: `GENERATE` or `ATTEND`, and its order."""

    name: str
    member: Member
    order: Order
    clock: Clock


@dataclass
class Part:
    """One member at work, and where it stands."""

    member: Member
    clock: Clock
    future: Future[Any]
    heard_at: float
    ready: bool = False
    settled: bool = False
    looked: bool = False
    stage: str = ""
    point: TimelinePoint | None = None
    held: dict[str, int] | None = None
    lost: str | None = None
    error: EstabError | None = None
    result: bytes | None = None

    @property
    def over(self) -> bool:
        """Nothing more is to come from it."""
        return self.result is not None or self.lost is not None or self.error is not None


@dataclass
class Outcome:
    """What became of all. `agreed_s`: the agreed start, Unix time by our clock; None: it never came to it."""

    parts: list[Part]
    server: Part | None
    agreed_s: float | None = None
    scheduler_lost: str | None = None
    interrupted: bool = False

    def generated(self, part: Part) -> Generated | None:
        """What a generator returned."""
        return None if part.result is None else msgspec.json.decode(part.result, type=Generated)

    def attended(self) -> Attended | None:
        """What the server's worker returned."""
        if self.server is None or self.server.result is None:
            return None
        return msgspec.json.decode(self.server.result, type=Attended)


Show = Callable[[Outcome], None]


@dataclass
class Coordinator:
    """Follows one run. `show` is called as numbers come in."""

    session: Session
    stop: Stop
    show: Show
    state: Outcome
    now: Callable[[], float] = time.monotonic
    _stopping_at: float | None = field(default=None)

    @classmethod
    def begin(
        cls,
        session: Session,
        tasks: Sequence[Task],
        stop: Stop,
        show: Show,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> Coordinator:
        """Gives out the orders: to each generator, and to the server's worker where there is one. `now` in seconds."""
        session.listen()
        started = {task: Part(task.member, task.clock, session.submit(task.name, task.order), now()) for task in tasks}
        generators = [part for task, part in started.items() if task.name == GENERATE]
        server = next((part for task, part in started.items() if task.name == ATTEND), None)
        return cls(session, stop, show, Outcome(generators, server), now)

    def to_the_end(self) -> Outcome:
        """All of it. Raises what a host said that can't take part, MachineError where one is lost before the start."""
        try:
            if self._gather():
                self._start()
                self._play()
            self._finish()
        except BaseException:
            self._send("stop", self._everybody())
            self._until(lambda: all(part.over for part in self._everybody()), STOP_WITHIN_S)
            raise
        finally:
            self.session.release([part.future for part in self._everybody()])
        self.state.interrupted = self.stop.is_set
        return self.state

    # -- the phases ---------------------------------------------------------------------------------------------------

    def _gather(self) -> bool:
        """Waits until everybody is ready. False: it was stopped before."""
        began = self.now()

        def met() -> bool:
            return self.stop.is_set or all(part.ready or part.over for part in self._everybody())

        self._until(met, READY_WITHIN_S)
        for part in self._everybody():
            if part.error is not None:
                raise type(part.error)(f"worker {part.member.name}: {part.error}")
            if part.lost is not None:
                raise MachineError(f"worker {part.member.name} was lost before the start: {part.lost}")
            if not part.ready and not self.stop.is_set:
                raise MachineError(
                    f"worker {part.member.name} ({part.member.address}) did not begin within "
                    f"{self.now() - began:.0f} s; is it busy with other tasks?"
                )
        return not self.stop.is_set

    def _start(self) -> None:
        """Agrees on the moment: far enough ahead for the command to reach everybody."""
        slowest = max(part.clock.uncertainty_ms for part in self.state.parts) * 2e-3
        self.state.agreed_s = time.time() + max(LEAD_S, 10 * slowest)
        at = {part.member.address: self.state.agreed_s + clocks.correction_s(part.clock) for part in self.state.parts}
        self._send("start", self.state.parts, at)

    def _play(self) -> None:
        """From the start to when every generator has come to its end."""
        parts, server = self.state.parts, self.state.server
        self._until(lambda: all(part.settled or part.over for part in parts))
        if server is not None and not server.over:
            self._send("look", [server])
            self._until(lambda: server.looked or server.over or all(part.over for part in parts), SILENT_FOR_S)
        self._send("hold", parts)
        self._until(lambda: all(part.over for part in parts))

    def _finish(self) -> None:
        """The server's worker has seen all there was."""
        server = self.state.server
        if not all(part.over for part in self.state.parts):  # it was stopped before it began
            self._until(lambda: all(part.over for part in self.state.parts), STOP_WITHIN_S)
            for part in self.state.parts:
                part.lost = part.lost if part.over else NOT_STOPPED
        if server is not None and not server.over:
            self._send("finish", [server])
            self._until(lambda: server.over, STOP_WITHIN_S)
            if not server.over:
                server.lost = f"it said nothing for {STOP_WITHIN_S:g} s after the end"

    # -- events -------------------------------------------------------------------------------------------------------

    def _until(self, holds: Callable[[], bool], within_s: float | None = None) -> None:
        """Takes events until `holds`, or for so long."""
        deadline = None if within_s is None else self.now() + within_s
        while not holds() and (deadline is None or self.now() < deadline):
            with contextlib.suppress(queue.Empty):
                self._handle(self.session.events.get(timeout=LOOK_S))
            self._look()

    def _handle(self, event: Event) -> None:
        part = next((known for known in self._everybody() if known.member.address == event.who), None)
        if part is None or part.over:
            return
        part.heard_at = self.now()
        match event:
            case WorkerGone():
                part.lost = "its worker ended"
                self.session.release([part.future])
            case TaskEnded(future=future):
                self._fetch(part, future)
            case TaskEvent():
                self._note(part, event)
        self.show(self.state)

    def _note(self, part: Part, event: TaskEvent) -> None:
        part.ready = part.ready or event.what == "ready"
        part.settled = part.settled or event.what == "settled"
        part.looked = part.looked or event.what == "looked"
        part.stage = event.stage or part.stage
        part.point = event.point or part.point
        part.held = event.held or part.held

    def _fetch(self, part: Part, future: Future[Any]) -> None:
        """What a task that ended has returned or raised."""
        if future.status == "cancelled":
            if self.session.is_open:
                part.lost = "its task was cancelled"
            return  # otherwise the scheduler is lost: that is seen next
        try:
            returned: Any = future.result(timeout=FETCH_WITHIN_S)
        except EstabError as error:
            part.error = error
        except Exception as error:  # what the task raised, or Dask for a worker that died
            part.lost = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        else:
            part.result = returned

    def _look(self) -> None:
        """What no event tells: a stop that was asked for, a scheduler that is gone, a worker that fell silent."""
        now = self.now()
        if not self.session.is_open:
            self._scheduler_is_lost()
        elif self.stop.is_set and self._stopping_at is None:
            self._stopping_at = now
            self._send("stop", self._everybody())
            self.session.release([part.future for part in self._everybody() if not part.ready])
        for part in self._everybody():
            if part.over:
                continue
            if self._stopping_at is not None and now - self._stopping_at > STOP_WITHIN_S:
                part.lost = NOT_STOPPED
            elif part.ready and now - part.heard_at > SILENT_FOR_S:
                part.lost = f"nothing was heard of it for {SILENT_FOR_S:g} s"

    def _scheduler_is_lost(self) -> None:
        if self.state.scheduler_lost is not None:
            return
        agreed = self.state.agreed_s
        when = "before the start" if agreed is None else f"{max(0.0, time.time() - agreed):.1f} s after the start"
        self.state.scheduler_lost = f"the scheduler at {self.session.address} was lost {when}"
        for part in self._everybody():
            if not part.over:
                part.lost = "the scheduler was lost, and with it the way to this host; its load stopped by itself"

    def _send(self, what: Any, parts: list[Part], at_s: Mapping[str, float] | None = None) -> None:
        listening = [part.member for part in parts if not part.over]
        if listening and self.session.is_open:
            self.session.send(Command(run=self.session.run, what=what, at_s=dict(at_s or {})), listening)

    def _everybody(self) -> list[Part]:
        return [*self.state.parts, *([self.state.server] if self.state.server else [])]
