"""Records a run of each of some scenarios, as a user's own run would be, and has each rebuilt: the twins of all.

Started as `python rebuilt.py`, it takes {scenario: [settings, words]} as a line of JSON on a standard input that stays
open while it runs, and says [scenario, its TwinResult, or None, what went wrong] as lines of JSON, as they come. Of the
remedies those are tried whose command has one of the words: on the scenario itself `lab run` tries them all.
One process for all: what a twin needs is imported once, and each is a fork.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from estab.lab.parts.scenario import find, made
from estab.lab.process.isolation import Inside, isolate
from estab.lab.process.launch import Event
from estab.lab.process.parallel import Piece, in_parallel
from estab.lab.remedies.trials import remedies_of
from estab.lab.stage import running
from estab.lab.twin import session, worker
from estab.records import Diagnosis, Remedy

AT_ONCE = 4  # most of their time is waiting


def main() -> None:
    """Those whose figures are shares of CPU come last, alone."""
    wanted: dict[str, tuple[dict[str, float], list[str]]] = json.loads(sys.stdin.readline())
    inside = isolate()
    names = sorted(wanted, key=lambda name: (find(name).alone, -find(name).seconds))
    pieces = [Piece(partial(_rebuilt, name, *wanted[name], inside), find(name).alone) for name in names]
    for said in in_parallel(pieces, AT_ONCE):
        print(json.dumps([names[said.place], *said.what]), flush=True)


def _rebuilt(
    name: str, settings: dict[str, float], words: list[str], inside: Inside, _connection: Connection
) -> tuple[Any, str]:
    """The twin of one scenario's run: what a child runs."""

    def wanted(diagnosis: Diagnosis | None) -> list[Remedy]:
        return [one for one in remedies_of(diagnosis) if any(word in one.command for word in words)]

    def run_worker(_module: str, order: dict[str, Any], hear: Callable[[Event], bool], _stop: object) -> bool:
        """As the session's own, but here: this process has left the host already."""
        worker.say = hear
        worker._perform(order, inside)
        return False

    session.run_worker, worker.remedies_of = run_worker, wanted
    try:
        run = running.run(made(name, settings).setup())
        return msgspec.to_builtins(session.twin(f"{name}.json", record=run)), ""
    except Exception:
        return None, traceback.format_exc()


if __name__ == "__main__":
    main()
