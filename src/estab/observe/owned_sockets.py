"""The connections of some processes, look by look: those whose inode one of them holds, counted by target in C.

Reading a process's descriptors costs a system call for each: how often that is done is the caller's to bound.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable

from estab.kernel.formats import inet_diag
from estab.kernel.formats.inet_diag import DumpState
from estab.observe.sock_diag import SockDiag
from estab.records import ProgramTarget, Record

try:
    from estab import _engine
except ImportError:  # running from a source tree without a compiler: nothing is seen
    _owned: Callable[[], _engine.Owned | None] = type(None)
else:
    _owned = _engine.owned


class OwnedTarget(Record, frozen=True, kw_only=True):
    """One target: what is so at the last look (`open`, `waiting` for an answer to a SYN,
    `resending` data), and `so_far` in all."""

    open: int
    waiting: int
    resending: int
    so_far: ProgramTarget


class OwnedSockets:
    """What the processes that each `look` is given have open. For one thread."""

    def __init__(self) -> None:
        self._seen = _owned()
        self.hidden = 0  # processes that did not show their descriptors at the last look

    def look(self, diag: SockDiag, pids: Iterable[int], listening: Iterable[int]) -> None:
        """Look now. `listening`: ports on which something listens here. Raises what SockDiag raises."""
        if self._seen is None:
            return
        self.hidden = self._seen.hold_sockets_of(array("i", pids).tobytes())[1]
        self._seen.set_listening(array("H", set(listening)).tobytes())
        diag.feed(_Collector(self._seen))
        self._seen.turn()

    def holds(self, inode: int | None) -> bool:
        """Whether one of the processes of the last look has this socket."""
        return self._seen is not None and inode is not None and self._seen.holds(inode)

    def targets(self) -> list[OwnedTarget]:
        """What they connected to, that with most connections at once first."""
        rows = self._seen.targets() if self._seen is not None else []
        return sorted(map(_target, rows), key=lambda target: -max(target.so_far.most_open, target.so_far.seen))

    def unanswered(self) -> int:
        """Connects that were gone though their SYN had been sent again."""
        return sum(target.so_far.unanswered for target in self.targets())


def _target(row: tuple[bytes, int, int, int, int, int, int, int, int, int]) -> OwnedTarget:
    address, port, opened, waiting, _unanswered, resending, most_open, worst_resent, seen, given_up = row
    so_far = ProgramTarget(
        address=inet_diag.plain_address(address),
        port=port,
        most_open=most_open,
        seen=seen,
        unanswered=given_up,
        worst_resent=worst_resent,
    )
    return OwnedTarget(open=opened, waiting=waiting, resending=resending, so_far=so_far)


class _Collector:
    """Takes the datagrams of one dump."""

    def __init__(self, seen: _engine.Owned) -> None:
        self._seen = seen

    def add(self, data: bytes | memoryview) -> DumpState:
        offset, flags = self._seen.add(data)
        return inet_diag.rest_of_dump(data, offset, flags)
