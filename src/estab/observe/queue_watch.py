"""What the target's listeners did over a run, from samples of them. Pure: samples in, `ListenerWatch` out."""

from __future__ import annotations

from collections.abc import Sequence

from estab.kernel.rules.listener_history import ListenerHistory
from estab.records import Listener, ListenerWatch, Record, ServerSockets


class QueueNow(Record, frozen=True, kw_only=True):
    """One sample, summed over the target's listeners; `drops` since the start, those of closed listeners included.

    `depth` and `limit` are None where nothing listens, `drops` where the kernel does not tell. `depths`: where
    there are several, of those in which something waits, by inode.
    """

    depth: int | None
    limit: int | None
    drops: int | None
    depths: dict[str, int] | None = None


class QueueWatch:
    """Follows the target's listeners by their inodes, through listeners that appear and that close."""

    def __init__(self) -> None:
        self._histories: dict[int, ListenerHistory] = {}
        self._most_at_once = 0
        self._at_end: ServerSockets | None = None

    def start(self, listeners: Sequence[Listener]) -> None:
        """The listeners before the run: the drops that they counted by now are not this run's."""
        for listener in listeners:
            self._histories[listener.inode or 0] = ListenerHistory(listener.drops)

    def add(self, listeners: Sequence[Listener]) -> QueueNow:
        """One sample of those that listen now. One not seen before was made during the run: its drops count from 0."""
        for listener in listeners:
            self._histories.setdefault(listener.inode or 0, ListenerHistory(0)).add(listener)
        self._most_at_once = max(self._most_at_once, len(listeners))
        waiting = {str(listener.inode or 0): listener.depth for listener in listeners if listener.depth}
        drops = [history.drops for history in self._histories.values() if history.drops is not None]
        return QueueNow(
            depth=sum(listener.depth for listener in listeners) if listeners else None,
            limit=sum(listener.limit for listener in listeners) if listeners else None,
            drops=sum(drops) if drops else None,
            depths=waiting if len(listeners) > 1 else None,
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

    @property
    def turned_away(self) -> bool:
        """Whether the listeners turned SYNs or ACKs away within the run, as far as their own drops tell."""
        return any(history.drops for history in self._histories.values())

    def worst_depth(self, inode: int) -> int | None:
        """The worst depth seen of the listener with this inode; None where it was never sampled."""
        history = self._histories.get(inode)
        return history.worst_depth if history is not None and history.samples else None

    def result(self) -> ListenerWatch | None:
        """The watch of the listener in greatest distress; None where none was ever sampled. `drops` are the run's."""
        sampled = self._sampled()
        return sampled[0].watch(self._most_at_once, self._at_end) if sampled else None

    def each(self) -> list[ListenerWatch]:
        """The watch of each listener where there were several, the one in greatest distress first."""
        sampled = self._sampled()
        return [history.watch(1) for history in sampled] if len(sampled) > 1 else []

    def _sampled(self) -> list[ListenerHistory]:
        sampled = (history for history in self._histories.values() if history.samples)
        return sorted(sampled, key=lambda history: history.distress, reverse=True)
