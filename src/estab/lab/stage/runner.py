"""Runs setups as the command line asked for it: the user's own server, captures, somebody who stays inside."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from estab.errors import MachineError
from estab.lab.stage.in_time import too_slow
from estab.lab.stage.running import Running, running
from estab.lab.stage.setup import Setup
from estab.lab.stage.stage import AS_THEY_ARE, Stage, Sysctls
from estab.lab.wire import pcapng
from estab.lab.wire.spec import WireReport, WireSpec
from estab.records import RunResult

_OPEN = WireSpec()
_ATTEMPTS = 3


@dataclass(frozen=True)
class Ran:
    """What came of a setup: the joined, judged run, and what passed the wire (nothing, where there is none)."""

    run: RunResult
    wire: WireReport


class Runner:
    """Runs setups for the scenario `name`.

    `captures`: a directory for pcapng; what was written there stands in `files`. `command`: the user's own server, in
    place of ours. `stay` is called with each stage as it stands: when a load is settled, and before it is left.
    """

    def __init__(
        self,
        name: str,
        *,
        captures: Path | None = None,
        command: str | None = None,
        tell: Callable[[str], None] = lambda _text: None,
        stay: Callable[[Stage], None] | None = None,
    ) -> None:
        self.name, self.command, self.tell = name, command, tell
        self.files: list[str] = []
        self._captures, self._stay = captures, stay

    def run(self, setup: Setup, look: Callable[[Running], None] = lambda _running: None) -> Ran:
        """The run of a setup; `look` as `Running.go_through` says.

        On a busy machine it is run again. Raises MachineError where this one is too slow for it each time.
        """
        for _ in range(_ATTEMPTS):
            with running(setup, make_stage=self.stage) as live:
                run = live.go_through(look)
                report = live.stage.wire_report() if live.stage.wire is not None else WireReport()
            if (why := too_slow(setup, run, report)) is None:
                return Ran(run, report)
        raise MachineError(why)

    @contextlib.contextmanager
    def stage(
        self,
        wire: WireSpec | None = _OPEN,
        *,
        client: Sysctls = AS_THEY_ARE,
        server: Sysctls = AS_THEY_ARE,
    ) -> Iterator[Stage]:
        """A fresh stage, whose capture is written at the end."""
        if self._captures is not None and wire is not None:
            wire = replace(wire, capture=True)
        with Stage(wire, client=client, server=server, command=self.command, stay=self._stay) as stage:
            try:
                yield stage
            finally:
                if self._stay is not None:
                    # Where no load ran to its end, or it failed, what is still up is what there is to look at.
                    self._stay(stage)
                if self._captures is not None and stage.wire is not None:
                    self._write_capture(self._captures, stage.wire.report())

    def _write_capture(self, folder: Path, report: WireReport) -> None:
        number = len(self.files) + 1
        path = folder / (f"{self.name}.pcapng" if number == 1 else f"{self.name}-{number}.pcapng")
        path.write_bytes(pcapng.encode(report.captured, ("client", "server"), f"estab lab run {self.name}"))
        self.files.append(str(path))
