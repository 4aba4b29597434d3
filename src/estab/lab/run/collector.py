"""What the process that plays tells, line by line, collected: scenarios in their order, the wire's figures, errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

from estab import errors
from estab.errors import EstabError, MachineError
from estab.records.lab import LabInside, LabScenario, LabWire

Told = Callable[[str, str], None]


class Collector:
    """Takes the events of the process that plays, and keeps what they bring: the scenarios and the wire's figures.

    Scenarios that are played side by side end in any order; `finished` hears of them in that of their places. `left`:
    somebody looked around inside and has left; all of it may end.
    """

    def __init__(
        self,
        told: Told,
        finished: Callable[[LabScenario], None],
        inside: Callable[[LabInside], None] | None = None,
    ) -> None:
        self.told, self.finished, self.inside = told, finished, inside
        self.left = False
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

    def hear(self, line: bytes) -> None:
        """One event of the worker's. Raises what it could not go on from."""
        event: dict[str, Any] = json.loads(line)
        if "stage" in event:
            self.told(*event["stage"])
        elif "inside" in event:
            assert self.inside is not None, "nobody asked to look around"
            self.inside(msgspec.convert(event["inside"], LabInside))
            self.left = True
        elif "contained" in event:
            self.contained = event["contained"]
        elif "wire" in event:
            self.wire = msgspec.convert(event["wire"], LabWire)
        elif "scenario" in event:
            self._over[event["place"]] = msgspec.convert(event["scenario"], LabScenario)
            self._tell_in_order()
        else:
            kind, message = event["error"]
            found = getattr(errors, kind, MachineError)
            raise found(message) if issubclass(found, EstabError) else MachineError(message)
