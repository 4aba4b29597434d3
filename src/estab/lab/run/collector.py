"""What the worker process says, collected: scenarios in their order, the wire's figures."""

from __future__ import annotations

from collections.abc import Callable

from estab.lab.process.launch import Event
from estab.records import from_builtins
from estab.records.lab import LabInside, LabScenario, LabWire

Told = Callable[[str, str], None]


class Collector:
    """Takes the events of the worker, and keeps what they bring: the scenarios and the wire's figures.

    Scenarios that are run side by side end in any order; `finished` hears of them in that of their places.
    """

    def __init__(
        self,
        told: Told,
        finished: Callable[[LabScenario], None],
        inside: Callable[[LabInside], None] | None = None,
    ) -> None:
        self.told, self.finished, self.inside = told, finished, inside
        self.wire: LabWire | None = None
        self.contained: bool | None = None
        self._over: dict[int, LabScenario] = {}
        self._told_of = 0

    @property
    def scenarios(self) -> list[LabScenario]:
        """Those that are over, in their order."""
        return [self._over[place] for place in sorted(self._over)]

    def tell_the_rest(self) -> None:
        """Tells `finished` of those that still wait for one before them: it was interrupted."""
        for place in sorted(self._over):
            if place >= self._told_of:
                self._told_of = place + 1
                self.finished(self._over[place])

    def _tell_in_order(self) -> None:
        while self._told_of in self._over:
            self._told_of += 1
            self.finished(self._over[self._told_of - 1])

    def hear(self, event: Event) -> bool:
        """One event. True: somebody looked around inside and has left, and all of it may end."""
        if "stage" in event:
            self.told(*event["stage"])
        elif "inside" in event:
            assert self.inside is not None, "nobody asked to look around"
            self.inside(from_builtins(event["inside"], LabInside))
            return True
        elif "contained" in event:
            self.contained = event["contained"]
        elif "wire" in event:
            self.wire = from_builtins(event["wire"], LabWire)
        else:
            self._over[event["place"]] = from_builtins(event["scenario"], LabScenario)
            self._tell_in_order()
        return False
