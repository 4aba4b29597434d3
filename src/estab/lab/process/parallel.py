"""Several pieces of work at a time, each in a child of its own: what they say, as they say it.

Scenarios mostly wait, each on a stage of its own, so some can run side by side; most of all those that wait for timers
of the kernel, which have places of their own. One that needs the machine for itself (its figures are shares of CPU)
begins when all before it are over, and nothing begins before it is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from estab.lab.process.child import Child


@dataclass(frozen=True)
class Piece:
    """`do(connection)` is what a child runs; it may `say` things on the way. `alone`: nothing runs beside it.

    `waits`: it takes next to no CPU.
    """

    do: Callable[[Connection], Any]
    alone: bool = False
    waits: bool = False


@dataclass(frozen=True)
class Said:
    """What the piece at `place` said, or, where it is `over`, what it returned."""

    place: int
    what: Any
    over: bool = False


def in_parallel(pieces: Sequence[Piece], at_once: int, waiting: int = 0) -> Iterator[Said]:
    """Runs the pieces, so many at once at the most, each begun as soon as it may. Raises what one of them raised.

    `waiting`: so many more of those that wait; 0: they count as all others. The children that are left after an error
    end with this process.
    """
    ahead = list(range(len(pieces)))
    running: dict[Connection, tuple[int, Child[Any]]] = {}
    while ahead or running:
        while (place := _next(pieces, ahead, [place for place, _ in running.values()], at_once, waiting)) is not None:
            ahead.remove(place)
            child: Child[Any] = Child(pieces[place].do)
            running[child.connection] = place, child
        for ready in wait(list(running)):
            assert isinstance(ready, Connection)
            place, child = running[ready]
            said = child.receive()
            if said is None:
                del running[ready]
                yield Said(place, child.result(), over=True)
            else:
                yield Said(place, said)


def _next(
    pieces: Sequence[Piece], ahead: Sequence[int], running: Sequence[int], at_once: int, waiting: int
) -> int | None:
    """The first that may begin now; what is behind one that is to be alone may not."""
    if any(pieces[place].alone for place in running):
        return None
    waits = sum(pieces[place].waits for place in running) if waiting else 0
    for place in ahead:
        piece = pieces[place]
        if piece.alone:
            return None if running else place
        if waits < waiting if waiting and piece.waits else len(running) - waits < at_once:
            return place
    return None
