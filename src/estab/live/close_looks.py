"""Close looks: queues and counters ten times a second, of which those around an episode are written.

What came before an episode can only be kept by looking always: so these looks read little, and wait in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from estab.diagnose.episodes import finding_between
from estab.diagnose.snapshots import fit
from estab.errors import ParseError
from estab.observe.queues import QueueLook
from estab.recording.around import LOOKED_BACK_S, Around
from estab.recording.snapshot_file import SnapshotFile
from estab.recording.writer import RecordingDirectory
from estab.records import Snapshot

MOST_WAITING_BYTES = 32 << 20  # of all namespaces together
# So often is judged where no connection waits and nothing is dropped: the judge costs more than ten looks.
QUIETLY_S = 5.0
_DROPS = ("TcpExt.ListenOverflows", "TcpExt.ListenDrops")


@dataclass
class _Namespace:
    """What waits, the last whole snapshot, and the file that is written until `until_s`."""

    whole: Snapshot | None = None
    judged: Snapshot | None = None  # up to this one all is judged
    around: Around = field(default_factory=Around)
    waiting: deque[QueueLook] = field(default_factory=deque)
    size: int = 0
    cause: str = ""
    file: SnapshotFile | None = None
    until_s: float = 0.0
    written_s: float = 0.0

    def wait(self, look: QueueLook, most_bytes: int) -> None:
        self.waiting.append(look)
        self.size += look.size
        while self.waiting and (look.at_s - self.waiting[0].at_s > LOOKED_BACK_S or self.size > most_bytes):
            self.size -= self.waiting.popleft().size

    def write(self, looks: Sequence[QueueLook], most_bytes: int) -> None:
        if self.file is None or self.whole is None:
            return
        for look in looks:
            if self.written_s < look.at_s <= self.until_s and self.file.size < most_bytes:
                try:
                    self.file.write(look.snapshot(self.whole))
                except ParseError:
                    continue  # what is damaged is left out
                self.written_s = look.at_s


class CloseLooks:
    """The close looks of every namespace that is recorded, by its inode."""

    def __init__(self, into: RecordingDirectory) -> None:
        self._into = into
        self._spaces: dict[int | None, _Namespace] = {}

    def looked(self, inode: int, look: QueueLook) -> None:
        """One more close look."""
        space = self._spaces.get(inode)
        if space is None:
            return  # before its first whole one
        space.wait(look, MOST_WAITING_BYTES // len(self._spaces))
        self._write(space, [look])
        if space.file is not None and (look.at_s > space.until_s or space.file.size >= self._into.most_a_file):
            self._end(space)

    def judged(self, together: Sequence[Snapshot]) -> None:
        """A round of whole snapshots: each is judged against the one before."""
        here = {taken.host.netns_inode for taken in together}
        for inode in self._spaces.keys() - here:
            self._end(self._spaces.pop(inode))
        for taken in together:
            self._judge(self._spaces.setdefault(taken.host.netns_inode, _Namespace()), taken)

    def close(self) -> None:
        """End every file. May be called twice."""
        for space in self._spaces.values():
            self._end(space)

    def _judge(self, space: _Namespace, taken: Snapshot) -> None:
        before, space.whole = space.whole, taken
        if before is None or not fit(before, taken):
            space.judged = taken
            return
        stirs, finding = _stirs(before, taken), None
        since = before if stirs else space.judged or before
        if stirs or taken.taken_at_s - since.taken_at_s >= QUIETLY_S:
            finding, space.judged = finding_between(since, taken), taken
        span = space.around.judged(since.taken_at_s, taken.taken_at_s, cause=finding is not None)
        if span is None:
            return
        space.cause = space.cause if finding is None else finding.suspect.cause
        if space.file is None:
            space.file = self._into.close_looks(taken.taken_at_s, space.cause)
        space.until_s = span[1]
        self._write(space, [look for look in space.waiting if look.at_s >= span[0]])

    def _write(self, space: _Namespace, looks: Sequence[QueueLook]) -> None:
        try:
            space.write(looks, self._into.most_a_file)
        except OSError:  # of a full disk the recording itself tells
            self._end(space)

    @staticmethod
    def _end(space: _Namespace) -> None:
        if space.file is not None:
            space.file.close()
            space.file = None


def _stirs(before: Snapshot, taken: Snapshot) -> bool:
    """Whether at any listener something waits, or was turned away since; also where that is not known."""
    if taken.listeners is None or before.listeners is None or taken.counters is None or before.counters is None:
        return True
    if any(listener.depth for listener in (*taken.listeners, *(taken.unix_listeners or ()))):
        return True
    dropped = {listener.inode: listener.drops for listener in before.listeners}
    return any(listener.drops != dropped.get(listener.inode, listener.drops) for listener in taken.listeners) or any(
        before.counters.get(name) != taken.counters.get(name) for name in _DROPS
    )
