"""One program from its start to its record, seen from outside: its looks, its trace, its network namespace."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from estab.api.program_namespace import ProgramNamespace
from estab.api.program_record import Asked, SeenOfAll, program_of
from estab.api.program_track import ProgramTrack
from estab.api.traced import TracedRun
from estab.diagnose import judge
from estab.errors import MachineError
from estab.observe.connect_trace import ConnectTrace
from estab.observe.program_watch import ProgramWatch, Target
from estab.observe.watch import Observed
from estab.records import RunResult

LOOK_S = 0.1
_FIRST_LOOKS_S = (0.002, 0.005, 0.01, 0.02, 0.05)  # a command may be over soon
_MOST_JUDGED = 3  # targets by what was traced, the worst first
_MOST_PROCESSES = 20  # that a record lists


class Observer(contextlib.AbstractContextManager["Observer"]):
    """`begin` before the program does anything, `follow` it, and ask for its `result`.

    `pids`: what tells its processes, once it is known. `unseen`: what was not seen of it, and why.
    """

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self.pids: Callable[[], list[int]] = list
        self.unseen: list[str] = []
        self.namespace = ProgramNamespace()
        self.trace = ConnectTrace(wanted=not asked.sampled)
        self._watch: ProgramWatch | None = None
        self._track = ProgramTrack()

    def __exit__(self, *_: object) -> None:
        self.trace.close()
        self.namespace.close()
        if self._watch is not None:
            self._watch.close()

    def begin(self) -> None:
        """See the state before the program does anything, in its namespace as far as that is known."""
        if self._watch is not None:
            self._watch.close()
        asked = self._asked
        self._watch = ProgramWatch(self._pids, to=asked.to, server_via=asked.server_via)
        self.namespace.inside(self._watch.start)
        self._track = ProgramTrack()

    def follow(self, ended: Callable[[float], bool]) -> None:
        """Look until it has ended. `ended` waits so many seconds at most, and says whether it has."""
        waits = _waits()
        while not ended(next(waits)):
            if self._may_have_moved() and self.namespace.follow(self.pids()):
                self._begin_elsewhere()
            self.namespace.inside(self._look)
        self._track.end()

    def result(self, code: int | None, *, left: int) -> RunResult:
        """The record, judged: of the target that a cause is named for, else of the first. `code`: how it exited."""
        watch = self._began()
        traced = self.trace.end()
        told = TracedRun(traced, self._track.began_ns) if traced is not None else None
        seen = self.namespace.inside(lambda: self._finish(told))
        unseen = [*self.unseen, *(told.unseen if told is not None else [])]
        program = program_of(self._asked, watch, told, code, left=left, namespace=self.namespace.inode)
        program = program.replace(why_sampled=self.trace.why, unseen=unseen)
        fullest = (watch.processes.processes() or [])[:_MOST_PROCESSES]
        of_all = SeenOfAll(self._asked, self._track, told, program, fullest)
        records = [of_all.record(target, ends) for target, ends in seen]
        judged = [record.replace(diagnosis=judge(record)) for record in records]
        return next((record for record in judged if record.cause is not None), judged[0])

    def _pids(self) -> list[int]:
        return self.pids()

    def _began(self) -> ProgramWatch:
        assert self._watch is not None
        return self._watch

    def _may_have_moved(self) -> bool:
        """Whether it may be in another namespace: not once it was seen to use its network."""
        watch = self._began()
        return not (self.unseen or watch.targets() or watch.listens_on)

    def _begin_elsewhere(self) -> None:
        try:
            self.begin()
        except MachineError as error:
            self.unseen.append(f"what its network namespace counts, for it is another one: {error}")
            self.namespace.be(None)
            self.begin()

    def _look(self) -> None:
        self._track.add(self._began().sample())

    def _finish(self, told: TracedRun | None) -> list[tuple[Target | None, Observed]]:
        """Both ends of each target, the worst first where that is known."""
        watch = self._began()
        self._track.add(watch.last_look())
        worst = told.worst(_MOST_JUDGED) if told is not None else []
        for target in worst:
            watch.watch(target)
        return sorted(watch.finish(), key=lambda of: worst.index(of[0]) if of[0] in worst else len(worst))


def _waits() -> Iterator[float]:
    yield from _FIRST_LOOKS_S
    while True:
        yield LOOK_S
