"""Several pieces of work at a time, each in a child of its own: what they say, as they say it.

Scenarios mostly wait, each on a stage of its own, so some can run side by side. One that needs the machine for
itself (its figures are shares of CPU) begins when all before it are over, and nothing begins before it is over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from estab.lab.process.child import Child


@dataclass(frozen=True)
class Piece:
    """`do(connection)` is what a child runs; it may `say` things on the way. `alone`: nothing runs beside it."""

    do: Callable[[Connection], Any]
    alone: bool = False


@dataclass(frozen=True)
class Said:
    """What the piece at `place` said, or, where it is `over`, what it returned."""

    place: int
    what: Any
    over: bool = False


def in_parallel(pieces: Sequence[Piece], at_once: int) -> Iterator[Said]:
    """Runs the pieces, begun in their order, so many at once at the most. Raises what one of them raised.

    The children that are left then end with this process.
    """
    ahead = deque(enumerate(pieces))
    running: dict[Connection, tuple[int, Child[Any]]] = {}
    while ahead or running:
        while ahead and _may_begin(ahead[0][1], [pieces[place] for place, _ in running.values()], at_once):
            place, piece = ahead.popleft()
            child: Child[Any] = Child(piece.do)
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


def _may_begin(piece: Piece, running: Sequence[Piece], at_once: int) -> bool:
    if piece.alone or any(other.alone for other in running):
        return not running
    return len(running) < at_once
