"""What the target's listeners did over a run, from samples of them. Pure: samples in, `ListenerWatch` out."""

from __future__ import annotations

from collections.abc import Sequence

from estab.kernel.formats.inet_diag import InetSocket
from estab.kernel.rules.accept_queue import drops_since
from estab.records import ListenerWatch, Record, ServerSockets


class QueueNow(Record, frozen=True, kw_only=True):
    """One sample, summed over the target's listeners; `drops` since the start, those of closed listeners included.

    `depth` and `limit` are None where nothing listens, `drops` where the kernel does not tell.
    """

    depth: int | None
    limit: int | None
    drops: int | None


class _Track:
    """One listener's figures so far."""

    def __init__(self, first: InetSocket, drops_before: int | None) -> None:
        self.address = first.local_address
        self.port = first.local_port
        self.inode = first.inode
        self.limit = first.wqueue
        self.worst_depth = 0
        self.last_depth = 0
        self.samples = 0
        self.full_samples = 0
        self.fell = False
        self.drops: int | None = None
        self._drops_before = drops_before

    def add(self, seen: InetSocket) -> None:
        self.fell |= seen.rqueue < self.last_depth
        # listen() called again changes the limit: what counts is the one that holds now.
        self.limit = seen.wqueue
        self.last_depth = seen.rqueue
        self.worst_depth = max(self.worst_depth, seen.rqueue)
        self.samples += 1
        self.full_samples += seen.rqueue > seen.wqueue
        if seen.drops is not None and self._drops_before is not None:
            self.drops = drops_since(self._drops_before, seen.drops)

    @property
    def fullness(self) -> tuple[float, int, int, int]:
        return self.worst_depth / (self.limit + 1), self.full_samples, self.drops or 0, self.samples


class QueueWatch:
    """Follows the target's listeners by their cookies, through listeners that appear and that close."""

    def __init__(self) -> None:
        self._tracks: dict[int, _Track] = {}
        self._most_at_once = 0
        self._at_end: ServerSockets | None = None

    def start(self, listeners: Sequence[InetSocket]) -> None:
        """The listeners before the run: the drops that they counted by now are not this run's."""
        for listener in listeners:
            self._track(listener, listener.drops)

    def add(self, listeners: Sequence[InetSocket]) -> QueueNow:
        """One sample of those that listen now. One not seen before was made during the run: its drops count from 0."""
        for listener in listeners:
            track = self._tracks.get(listener.cookie) or self._track(listener, 0)
            track.add(listener)
        self._most_at_once = max(self._most_at_once, len(listeners))
        drops = [track.drops for track in self._tracks.values() if track.drops is not None]
        return QueueNow(
            depth=sum(listener.rqueue for listener in listeners) if listeners else None,
            limit=sum(listener.wqueue for listener in listeners) if listeners else None,
            drops=sum(drops) if drops else None,
        )

    def settled(self, sockets: ServerSockets) -> None:
        """What the server held when every connect had been settled."""
        self._at_end = sockets

    def closing(self, sockets: ServerSockets) -> None:
        """What it held just before all was closed: the better answer where it has accepted more by then."""
        if self._at_end is not None and sockets.accepted > self._at_end.accepted:
            self._at_end = sockets

    @property
    def some_waited(self) -> bool:
        """Whether connections waited for accept() when every connect had been settled."""
        return self._at_end is not None and self._at_end.queued > 0

    def worst_depth(self, inode: int) -> int | None:
        """The worst depth seen of the listener with this inode; None where it was never sampled."""
        worst = [track.worst_depth for track in self._tracks.values() if track.inode == inode and track.samples]
        return max(worst, default=None)

    def result(self) -> ListenerWatch | None:
        """The watch of the fullest listener (by depth over limit, then by drops); None where none was ever sampled.

        `drops` are those of the run. `rose_only` is False where nothing ever queued.
        """
        sampled = [track for track in self._tracks.values() if track.samples]
        if not sampled:
            return None
        fullest = max(sampled, key=lambda track: track.fullness)
        return ListenerWatch(
            address=fullest.address,
            port=fullest.port,
            listeners=self._most_at_once,
            limit=fullest.limit,
            worst_depth=fullest.worst_depth,
            last_depth=fullest.last_depth,
            samples=fullest.samples,
            full_samples=fullest.full_samples,
            rose_only=fullest.worst_depth > 0 and not fullest.fell,
            drops=fullest.drops,
            queued_at_end=self._at_end.queued if self._at_end else None,
            accepted_at_end=self._at_end.accepted if self._at_end else None,
        )

    def _track(self, listener: InetSocket, drops_before: int | None) -> _Track:
        track = self._tracks[listener.cookie] = _Track(listener, drops_before)
        return track
