"""The process in which the lab's namespaces live: started by the runner, gone with it, and all of its children with it.

It has one thread, so that it may fork. Order on standard input, one line of JSON an event on standard output. How it
leaves the host, and how it ends, stands in `estab.lab.process.isolation`.
"""

from __future__ import annotations

import json
import signal
import sys
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from estab.errors import EstabError, MachineError
from estab.lab.process import linux
from estab.lab.process.child import say
from estab.lab.process.isolation import Inside, isolate

OVER = "over"  # the last stage of each scenario


def main() -> None:
    """What the runner starts. Exit status 0 when all was said, whatever it was."""
    parent = int(sys.argv[2])
    linux.die_with_parent(parent)
    # A terminal's Ctrl-C comes to the runner too, and the runner decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = json.loads(sys.stdin.readline())
    try:
        _perform(order, isolate())
    except EstabError as error:
        _say({"error": [type(error).__name__, str(error)]})


def _perform(order: dict[str, Any], inside: Inside) -> None:
    # Imported here: a wrong order, or a machine that refuses, is told at once.
    from estab.lab.parts.scenario import alone, find, why_not
    from estab.lab.process.parallel import Piece, in_parallel
    from estab.lab.stage.gauge import gauge

    _say({"contained": inside.contained})
    if order["gauge"]:
        _tell("the wire", "measuring itself")
        _say({"wire": msgspec.to_builtins(gauge())})
        _tell("the wire", OVER)
    names = order["names"]
    pieces = [Piece(partial(_direct, name, order), alone(find(name))) for name in names]
    for said in in_parallel(pieces, order["jobs"]):
        if said.over:
            _tell(names[said.place], OVER)
            _say({"scenario": said.what, "place": said.place})
        else:
            _tell(names[said.place], said.what)
    if order["keep"] and why_not(find(names[0])) is None:
        _look_around(names[0], order, inside)


def _direct(name: str, order: dict[str, Any], connection: Connection) -> dict[str, Any]:
    """One scenario as a whole: what a child of this process runs."""
    from estab.lab.parts.scenario import Act, find
    from estab.lab.run.runner import direct

    act = Act(
        name,
        full=order["full"],
        only_sweep=order["sweep"],
        captures=Path(order["captures"]) if order["captures"] else None,
        command=order["command"],
        tell=partial(say, connection),
    )
    told: dict[str, Any] = msgspec.to_builtins(direct(find(name), act, order["settings"].get(name, {})))
    return told


def _look_around(name: str, order: dict[str, Any], inside: Inside) -> NoReturn:
    """Plays it once more, up to where there is something to look at, or to where it fails; and stays there."""
    from estab.lab.parts.scenario import Act, find
    from estab.lab.run.keep import stay
    from estab.lab.run.runner import settings_for

    act = Act(
        name,
        full=order["full"],
        command=order["command"],
        stay=lambda stage: stay(stage, name, inside, lambda told: _say({"inside": msgspec.to_builtins(told)})),
    )
    _tell(name, "once more, to look around")
    settings = settings_for(find(name), act, order["settings"].get(name, {}))
    find(name).play(act, settings)
    raise MachineError(f"{name} set up nothing to look at")


def _tell(name: str, stage: str) -> None:
    _say({"stage": [name, stage]})


def _say(event: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()
