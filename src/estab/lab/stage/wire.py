"""The wire of a stage, from outside: what it is asked and told."""

from __future__ import annotations

import time

from estab.lab.process.child import Child
from estab.lab.stage.hosts import MAC, PORT, SERVER
from estab.lab.wire.spec import WireCounts, WireReport


class RunningWire:
    """The wire's child."""

    def __init__(self, child: Child[None]) -> None:
        self._child = child
        child.receive()

    def report(self) -> WireReport:
        """What passed so far."""
        self._child.send(("report",))
        passed: WireReport = self._child.receive()
        return passed

    def counts(self) -> WireCounts:
        """How much passed so far; all that was due when this was asked has left.

        A wire that gets no CPU for a while sends late: what answers comes in after that.
        """
        self._child.send(("counts",))
        passed: WireCounts = self._child.receive()
        return passed

    def gather(self, syns: int) -> None:
        """The next so many SYNs leave together, as `WireSpec.gather_syns` says."""
        self._child.send(("gather", syns))
        self._child.receive()

    def hold(self, yes: bool) -> None:
        """While it holds, it takes packets in and lets none out; then what was kept leaves at once."""
        self._child.send(("hold", yes))
        self._child.receive()

    def inject(self, syns: int) -> None:
        """Hand-made SYNs to the server, each from an address that never answers; returns once all have left."""
        macs = tuple(bytes.fromhex(MAC[name].replace(":", "")) for name in ("client", "server"))
        before = self.counts().injected
        self._child.send(("inject", syns, PORT, SERVER, macs))
        while self.counts().injected < before + syns:
            time.sleep(0.005)
