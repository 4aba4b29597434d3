"""The process in which the namespaces of `lab run` live: started by `session`, gone with it and all of its children."""

from __future__ import annotations

import importlib
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from estab.errors import MachineError
from estab.lab.process.child import say as say_to_parent
from estab.lab.process.isolation import Inside
from estab.lab.process.worker import say, work

OVER = "over"  # the last stage of each scenario


def main() -> None:
    """What the session starts."""
    work(_perform)


def _perform(order: dict[str, Any], inside: Inside) -> None:
    # Imported here: a wrong order, or a machine that refuses, is told at once.
    from estab.lab.parts.scenario import find
    from estab.lab.process.parallel import Piece, in_parallel
    from estab.lab.stage.gauge import gauge

    importlib.import_module("estab.lab.run.runner")  # once, not in each scenario's child
    say({"contained": inside.contained})
    if order["gauge"]:
        _tell("the wire", "measuring itself")
        say({"wire": msgspec.to_builtins(gauge())})
        _tell("the wire", OVER)
    names = order["names"]
    # The longest first, or the last one would run beside nothing; before them those that nothing may run beside.
    places = sorted(range(len(names)), key=lambda place: (not find(names[place]).alone, -find(names[place]).seconds))
    kinds = [find(names[place]) for place in places]
    pieces = [
        Piece(partial(_run, names[place], order), kind.alone, kind.waits)
        for place, kind in zip(places, kinds, strict=True)
    ]
    for said in in_parallel(pieces, order["jobs"], order["waiting"]):
        place = places[said.place]
        if said.over:
            _tell(names[place], OVER)
            say({"scenario": said.what, "place": place})
        else:
            _tell(names[place], said.what)
    if order["keep"] and find(names[0]).why_not() is None:
        _look_around(names[0], order, inside)


def _run(name: str, order: dict[str, Any], connection: Connection) -> dict[str, Any]:
    """One scenario as a whole: what a child of this process runs."""
    from estab.lab.run.runner import run_scenario
    from estab.lab.stage.runner import Runner

    runner = Runner(
        name,
        captures=Path(order["captures"]) if order["captures"] else None,
        command=order["command"],
        tell=partial(say_to_parent, connection),
    )
    changes = order["settings"].get(name, {})
    done: dict[str, Any] = msgspec.to_builtins(run_scenario(runner, changes, full=order["full"], sweep=order["sweep"]))
    return done


def _look_around(name: str, order: dict[str, Any], inside: Inside) -> NoReturn:
    """Runs it once more, up to where there is something to look at, or to where it fails; and stays there."""
    from estab.lab.parts.scenario import made
    from estab.lab.run.keep import stay
    from estab.lab.run.runner import Measurements
    from estab.lab.stage.runner import Runner

    runner = Runner(
        name,
        command=order["command"],
        stay=lambda stage: stay(stage, name, inside, lambda hosts: say({"inside": msgspec.to_builtins(hosts)})),
    )
    _tell(name, "once more, to look around")
    Measurements(runner).of(made(name, order["settings"].get(name, {}), full=order["full"]))
    raise MachineError(f"{name} set up nothing to look at")


def _tell(name: str, stage: str) -> None:
    say({"stage": [name, stage]})
