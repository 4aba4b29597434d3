"""A setup at work: namespaces, the server, the load; both ends joined and judged. Scenarios and twins run by it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from estab.kernel.formats.endpoint import endpoint
from estab.lab.stage import build
from estab.lab.stage.arrival import SILENT_S, SilentWire
from estab.lab.stage.hosts import NAME, PORT
from estab.lab.stage.load import RunningLoad, by_name, work_of
from estab.lab.stage.server import RunningServer
from estab.lab.stage.setup import LoadSpec, Setup
from estab.lab.stage.stage import Stage, until
from estab.lab.wire.relay import GATHER_S
from estab.observe import snapshot
from estab.records import RunResult, Snapshot

MakeStage = Callable[..., contextlib.AbstractContextManager[Stage]]
_ARRIVES_WITHIN_S = 20.0
BURST_WITHIN_S = 1.0
_TURN_WITHIN_S = 8.0  # a load that is held to be looked at waits 10 s


@dataclass
class Running:
    """A setup whose load has been started. `syns_before`: those that the wire had carried by then."""

    setup: Setup
    stage: Stage
    server: RunningServer
    load: RunningLoad
    syns_before: int = 0
    _has_arrived: bool = False

    def arrived(self) -> None:
        """Returns once every SYN of the load has come to the wire, and nothing more is under way."""
        if not self._has_arrived:
            self._sent()
            self.stage.quiet()
        self._has_arrived = True

    def go_through(self, look: Callable[[Running], None] = lambda _running: None) -> RunResult:
        """All that the setup says of the time while the load runs, and its end; the run.

        `look` is called when what was sent has arrived, if it asks for that, and before a server that stands still goes
        on, or a client that starved comes back.
        """
        if self.setup.starved_s:
            self._starve(look)
        else:
            look(self)
        if self._stands_still:
            self.arrived()
            self.server.tell("resume")
        self._pause()
        if self.setup.burners:
            self._accepted()
        return self.stage.finish(self.server, self.load)

    def wait(self, until_s: float) -> None:
        """Waits until that time (monotonic); a load that is settled meanwhile is looked at then."""
        while (left := until_s - time.monotonic()) > 0:
            if self.load.looked:
                time.sleep(left)
            elif self.load.child.connection.poll(left):
                self.stage.settle(self.server, self.load)

    @property
    def _stands_still(self) -> bool:
        return stands_still(self.setup, self.stage)

    def _sent(self) -> None:
        wanted = self.syns_before + self.setup.load.connections
        until(lambda: self.stage.syns() >= wanted, _ARRIVES_WITHIN_S, "all SYNs came to the wire")

    def _accepted(self) -> None:
        """A thread that starves gets its turn some time: what is held is looked at once it had one."""
        if self.load.settled():
            deadline = time.monotonic() + _TURN_WITHIN_S
            while not self.stage.server_states()["accepted"] and time.monotonic() < deadline:
                time.sleep(0.02)

    def _starve(self, look: Callable[[Running], None]) -> None:
        """What was sent waits on the wire until the client is stopped: what comes of it is the kernels' doing alone."""
        assert self.stage.wire is not None, "a client is starved over a wire"
        self._sent()
        with self.load.starved():
            self.stage.wire.hold(False)
            self.stage.quiet()
            look(self)
            time.sleep(self.setup.starved_s)

    def _pause(self) -> None:
        """The server's pauses, at the setup's own times."""
        wanted = [(at, order) for start, end in self.setup.pauses for at, order in ((start, "pause"), (end, "resume"))]
        wanted += [(self.setup.stops_after_s, "pause")] if self.setup.stops_after_s is not None else []
        if not wanted:
            return
        self.load.begun()
        came_in_s = self._gathered()
        began = time.monotonic()
        for number, (at_s, order) in enumerate(wanted):
            self.wait(began + at_s)
            if number == 1 and self.setup.path.gather:
                # What came together meets the first pause, however slowly it is carried: on a machine that took long to
                # send it, what follows from it comes with longer gaps. Other traffic may go on.
                self.stage.falls_silent(max(SILENT_S, came_in_s), BURST_WITHIN_S)
            if (at_s, order) != (0.0, "pause"):
                self.server.tell(order)

    def _gathered(self) -> float:
        """What is to come together has come: on a busy machine it may take longer than the pause that it is to meet.

        How long it took, in seconds.
        """
        if not self.setup.path.gather:
            return 0.0
        began = time.monotonic()
        deadline = began + BURST_WITHIN_S
        coming = SilentWire(self.stage.syns, GATHER_S)
        while (came := self.stage.syns()) < self.setup.path.gather and time.monotonic() < deadline:
            if coming.fallen() and came:
                break
            time.sleep(0.002)
        return time.monotonic() - began


def stands_still(setup: Setup, stage: Stage) -> bool:
    """A server of the user's own can't be told to: it shows what it does by itself."""
    return setup.stands_still and stage.command is None


@contextlib.contextmanager
def running(
    setup: Setup, before: Callable[[Stage], None] = lambda _stage: None, make_stage: MakeStage = Stage
) -> Iterator[Running]:
    """A setup whose load has just been started, after `before(stage)`.

    A server that stands still, or whose first pause is from 0 on, does so already. Raises MachineError where the
    machine can't, UsageError for what the load refuses.
    """
    with (
        make_stage(build.wire(setup), client=dict(setup.client), server=dict(setup.server)) as stage,
        build.surroundings(stage, setup),
    ):
        if setup.unix:
            stage.meet_at_unix_socket()
        sources = build.sources(stage, setup)
        server = stage.serve(build.server(stage.host, setup), nofile=setup.server_nofile)
        stage.server.configure(dict(setup.late))
        if stands_still(setup, stage) or (setup.pauses and setup.pauses[0][0] <= 0):
            server.tell("pause")
        if setup.stuck and stage.command is None:  # a server of the user's own shows what it does by itself
            server.tell(("stop", setup.stuck))
        if setup.waiting:
            _let_wait(stage, setup)
        if setup.starved_s and stage.wire is not None:
            stage.wire.hold(True)
        before(stage)
        syns = stage.syns()
        work = work_of(setup.load, stage.target, sources)
        if setup.path.dead_first:
            work = by_name(work_of(setup.load, endpoint(NAME, PORT), sources))
        load = stage.load(work, nofile=setup.client_nofile)
        yield Running(setup, stage, server, load, syns)


def _let_wait(stage: Stage, setup: Setup) -> None:
    """Connections of another client: in the queue of a server that stands still they stay, another one accepts them."""
    stage.load(work_of(LoadSpec(connections=setup.waiting, duration_s=20), stage.target, ()))
    until(lambda: _at_server(stage) == setup.waiting, _ARRIVES_WITHIN_S, "the others wait in the queue")
    if setup.path.gather and stage.wire is not None:
        stage.wire.gather(setup.path.gather)


def _at_server(stage: Stage) -> int:
    """How many connections the server's host has, accepted or not."""
    states = stage.server_states()
    return states["queued"] + states["accepted"]


def run(setup: Setup) -> RunResult:
    """The run of a setup. Raises as `running`."""
    with running(setup) as live:
        return live.go_through()


@dataclass(frozen=True)
class LookTimes:
    """When to look at a twin: `after_s` after its load began; or after the first look, `first_s` after it began.

    `first_s` None: one look; 0: the first one before the load. `at_client`: at the ports of the client.
    """

    first_s: float | None
    after_s: float
    at_client: bool


def looked_at(setup: Setup, look: LookTimes) -> tuple[RunResult, list[Snapshot]]:
    """The run of this setup, and the snapshots that were taken of its host meanwhile. Raises as `running`."""
    taken: list[Snapshot] = []

    def take(stage: Stage) -> None:
        host = stage.client if look.at_client else stage.server
        with host.entered():
            taken.append(snapshot.take(port=PORT, toward=(stage.host, PORT) if look.at_client else None))

    with running(setup, take if look.first_s == 0 else lambda _stage: None) as live:
        live.load.begun()
        began = since = time.monotonic()
        if look.first_s:
            live.wait(began + look.first_s)
            take(live.stage)
            since = time.monotonic()  # a busy machine looks late, and what lies between two looks tells
        live.wait(since + look.after_s)
        take(live.stage)
        for _start, end in setup.pauses:
            live.wait(began + end)
            live.server.tell("resume")
        return live.stage.finish(live.server, live.load), taken
